// Page-table entries in probes: the window's, pointed at one page or another.

import type { ProbeCode } from './define.ts';

export const PTE = { P: 1, RW: 2, US: 4, A: 0x20, D: 0x40, G: 0x100 } as const;
/** Present, writable, user, as the kernel maps itself. */
export const PAGE_RW = PTE.P | PTE.RW | PTE.US | PTE.A | PTE.D;
export const PAGE_RO = PAGE_RW & ~PTE.RW;

/** {bp} := where the window's entry is, {bx} := the window. What pages a and b hold tells them apart. */
export function openWindow(a: ProbeCode): void {
  a.text(`mov dword ptr [page.a], ${MARK.a}; mov dword ptr [page.b], ${MARK.b}`);
  a.text(`mov dword ptr [page.window], ${MARK.window}; mov {bx}, page.window; mov {ax}, {bx}`);
  a.text('call kernel.pte_of; mov {bp}, {ax}');
}

export const MARK = { a: 0xa0a0, b: 0xb0b0, window: 0x3333 } as const;

/** {dx} ({cx}) := an entry for the page. */
export function loadEntry(a: ProbeCode, page: string, flags: number): void {
  a.text(`mov eax, ${page}; or eax, ${flags}; xor edx, edx`).op('mmu.make_pte');
  a.text(a.bits === 64 ? 'mov rdx, rax' : 'mov ecx, edx; mov edx, eax');
}

type Setter = 'mmu.set_pte' | 'mmu.set_pte_at' | 'mmu.set_pte_atomic';

/** The window's entry, in {bp}, changed; no translation is dropped. */
export function setWindow(
  a: ProbeCode,
  page: string,
  flags = PAGE_RW,
  by: Setter = 'mmu.set_pte',
): void {
  loadEntry(a, page, flags);
  a.text('mov {ax}, {bp}').op(by);
}

export const flushWindow = (a: ProbeCode): unknown =>
  a.text('mov {ax}, {bx}').op('mmu.flush_tlb_single');

/** As it was. */
export function closeWindow(a: ProbeCode): void {
  setWindow(a, 'page.window');
  flushWindow(a);
}

/** What the window shows, under this name. */
export const reportWindow = (a: ProbeCode, name: string): unknown =>
  a.text('mov eax, [{bx}]').report(name, 'eax');

/** The low half of the window's entry, with the guest's own frame number. */
export function reportEntry(a: ProbeCode, name: string): void {
  a.text(a.bits === 64 ? 'mov rax, [rbp]' : 'mov eax, [ebp]; mov edx, [ebp+4]');
  a.op('mmu.pte_val').report(name, 'eax');
}
