// What probes call: the page-table entry of an address, found as a kernel finds it.

import type { Emitter } from './emitter.ts';

const WIDE_FRAME = '0x000ffffffffff000';

/**
 * `kernel.pte_of`, `kernel.pmd_of`: {ax}, an address → {ax}, where its entry in a table of the last level, or the last but one, is;
 * or 0. Physical addresses are reached one to one. AX, CX and DX are lost.
 */
export function emitLibrary(code: Emitter): void {
  const upper = code.bits === 64 ? [39, 30] : [30];
  emitWalk(code, 'kernel.pte_of', [...upper, 21], 12);
  emitWalk(code, 'kernel.pmd_of', upper, 21);
}

function emitWalk(code: Emitter, name: string, shifts: readonly number[], last: number): void {
  const none = code.fresh('none');
  const mask = code.bits === 64 ? `mov rcx, ${WIDE_FRAME}; and rax, rcx` : 'and eax, 0xfffff000';
  code.text(`${name}:; push {si}; mov {si}, {ax}`).op('mmu.read_cr3');
  code.text(code.bits === 64 ? mask : 'and eax, 0xffffffe0');
  for (const shift of shifts) {
    code.text(`mov {dx}, {si}; shr {dx}, ${shift}; and edx, 0x1ff`);
    if (code.bits === 64) code.text('mov rax, [rax+rdx*8]');
    else code.text('mov ecx, eax; mov eax, [ecx+edx*8]; mov edx, [ecx+edx*8+4]');
    code.text(`test al, 1; je ${none}; test al, 0x80; jne ${none}`).op('mmu.pte_val').text(mask);
  }
  code.text(
    `mov {dx}, {si}; shr {dx}, ${last}; and edx, 0x1ff; lea {ax}, [{ax}+{dx}*8]; pop {si}; ret`,
  );
  code.text(`${none}:; xor eax, eax; pop {si}; ret`);
}
