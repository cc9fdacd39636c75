// Names for the places of a kernel: its own symbols, and the way from where it runs to where it was linked.

import { InputError } from '../../base/errors.ts';
import type { Peeked } from '../../cpu/peek.ts';
import { imageSymbols, type KernelImage, type SymbolTable } from '../../image/index.ts';
import type { LinkAddress } from './link-address.ts';
import type { TraceNames } from './tracer.ts';

/** By the kallsyms in its image; programs that are no Linux have none. */
export function kernelNames(kernel: KernelImage): TraceNames {
  const elf = kernel.kind === 'multiboot' || kernel.bzImage?.payload === null ? null : kernel.elf();
  return { symbols: elf && imageSymbols(elf), elf };
}

/** For whom names are only better than none: a kernel that nobody can unpack has none, and may still run. */
export function namesIfAny(kernel: KernelImage | null): TraceNames {
  const none = { symbols: null, elf: null };
  if (!kernel) return none;
  try {
    return kernelNames(kernel);
  } catch (error) {
    if (error instanceof InputError) return none;
    throw error;
  }
}

/** `switch_mm_irqs_off+0x1a3`, or null where no symbol is known. */
export function symbolAt(
  cpu: Peeked,
  rip: number,
  symbols: SymbolTable | null,
  link: LinkAddress | null,
): string | null {
  const address = link?.of(cpu, rip) ?? null;
  const place = address === null ? null : (symbols?.find(address) ?? null);
  return place && `${place.name}+0x${place.offset.toString(16)}`;
}
