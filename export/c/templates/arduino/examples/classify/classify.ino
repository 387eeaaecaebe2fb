#include <@name.h>

// Fill it with your own picture or values, as the model's input is described in @name.h.
static @input_type input[@{macro}_INPUT_SIZE];
static float probabilities[@{macro}_CLASSES];
alignas(@{macro}_SCRATCH_ALIGNMENT) static uint8_t scratch[@{macro}_SCRATCH_BYTES];

void setup() {
  Serial.begin(115200);
}

void loop() {
  unsigned long start = micros();
  @{name}_predict(input, probabilities, scratch);
  unsigned long taken = micros() - start;
  int best = 0;
  for (int i = 1; i < @{macro}_CLASSES; i++) {
    if (probabilities[i] > probabilities[best]) best = i;
  }
  Serial.print("class ");
  Serial.print(best);
  Serial.print(", probability ");
  Serial.print(probabilities[best]);
  Serial.print(", microseconds ");
  Serial.println(taken);
  delay(1000);
}
