// WebAssembly loads and stores by width of value.

import type { Width } from '../isa/ir.ts';

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
