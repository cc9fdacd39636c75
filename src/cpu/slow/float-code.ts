// How the engines tell the slow path `float` what to compute: function and shape in one number, argument 2.

import type { FloatFn, FloatShape } from '../isa/ir.ts';

export const FLOAT_FNS: readonly FloatFn[] = ['add', 'sub', 'mul', 'div', 'sqrt', 'min', 'max'];
export const FLOAT_SHAPES: readonly FloatShape[] = ['f32', 'f64', 'f32x4', 'f64x2'];
const FN_BITS = 3;

export function floatCode(fn: FloatFn, shape: FloatShape): bigint {
  return BigInt(FLOAT_FNS.indexOf(fn) + (FLOAT_SHAPES.indexOf(shape) << FN_BITS));
}

export function floatFnOf(code: number): FloatFn {
  return FLOAT_FNS[code & ((1 << FN_BITS) - 1)] ?? 'add';
}

export function floatShapeOf(code: number): FloatShape {
  return FLOAT_SHAPES[code >> FN_BITS] ?? 'f32';
}
