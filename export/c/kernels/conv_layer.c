/* A convolution; the bias includes -zero_in * sum(weights). Of `pool` by `pool` results the
   largest is kept. `lanes` says whether the weights are in the order of vectors; 2 on AVX2 those
   of Winograd's transform. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    conv_number batch, in_h, in_w, in_c, out_h, out_w, out_c, k_h, k_w;
    conv_number stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w, groups, pool, lanes;
    conv_number zero_in, zero_out, low, high;
} conv_layer;
