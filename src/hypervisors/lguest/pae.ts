// Whether a kernel has PAE page tables. Its header does not tell, and the host has to know before it builds the first ones.

import { findBytes, utf8Bytes } from '../../image/bytes.ts';
import { elfSymbols, type KernelImage } from '../../image/index.ts';

/** What the dump of page tables in an oops prints first: arch/x86/mm/fault.c, under CONFIG_X86_PAE only (2.6.24 to 6.1). */
export const PDPT_TEXT = '*pdpt = ';
/** The directories of its first tables: arch/x86/kernel/head_32.S, under CONFIG_X86_PAE only (2.6.32). */
const PAE_SYMBOL = 'swapper_pg_pmd';

/** From its configuration, if that is known, or from what only such a kernel has. */
export function isPaeKernel(kernel: KernelImage): boolean {
  const known = kernel.config();
  if (known) return known.get('CONFIG_X86_PAE') === 'y';
  const elf = kernel.elf();
  if (elfSymbols(elf).some(({ name }) => name === PAE_SYMBOL)) return true;
  return findBytes(elf.bytes, utf8Bytes(PDPT_TEXT)) >= 0;
}
