// WebAssembly types, loads and stores by width of value.

import type { Width } from '../isa/ir.ts';
import type { ValType } from '../wasm/encode.ts';

export function loadOf(width: Width): string {
  switch (width) {
    case 128:
      return 'v128.load';
    case 64:
      return 'i64.load';
    case 32:
    case 1:
      return 'i32.load';
    case 16:
      return 'i32.load16_u';
    case 8:
      return 'i32.load8_u';
  }
}

export function storeOf(width: Width): string {
  switch (width) {
    case 128:
      return 'v128.store';
    case 64:
      return 'i64.store';
    case 16:
      return 'i32.store16';
    case 8:
      return 'i32.store8';
    case 32:
    case 1:
      return 'i32.store';
  }
}

export function valType(width: Width): ValType {
  if (width === 128) return 'v128';
  return width === 64 ? 'i64' : 'i32';
}
