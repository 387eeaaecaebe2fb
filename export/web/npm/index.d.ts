/** Names of the classes, in the order of the probabilities. */
export declare const labels: readonly string[];

/** Height, width and channels of the picture. */
export declare const shape: readonly [height: number, width: number, channels: number];

/**
 * Probabilities of the classes of one picture.
 *
 * @param pixels The picture row by row, the channels of a pixel side by side: whole numbers from 0
 *   to 255; others are rounded and clamped. Of digits and letters the ink is bright (255), the
 *   paper 0.
 * @returns One number from 0 to 1 per class, in the order of `labels`.
 * @throws {TypeError} `pixels` has another length than `shape` says.
 */
export declare function read(pixels: ArrayLike<number>): number[];
