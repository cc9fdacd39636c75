// Grants that a PV guest gives to itself and maps, by address and by table entry, and what it may not do with them.

import * as f from '../forms.ts';
import * as at from '../layout.ts';
import { hex, type Parts, programs, type Value, type XenProgram } from '../program.ts';

const GRANT = 'xen/include/public/grant_table.h';
const { CALL, DOMID_SELF } = f;
const UVMF_INVLPG = 2;
/** Flags of gnttab_map_grant_ref. */
const MAP = { device: 1, host: 2, readonly: 4, pte: 16 } as const;
/** The entry that is used, of 8 bytes each: each program has its own, as some leave theirs in use. */
const refOf = (p: Parts): number => 8 + (((p.page(0) - at.PAGES) / (at.PAGES_EACH * 4096)) % 400);
const entryOf = (p: Parts): string => hex(p.page(7) + refOf(p) * 8);
const pair = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);

/** R12: its own number, the only one from 1 on whose table it may ask about; nothing is kept. */
const ownNumber = (p: Parts): string => {
  const [next, found] = [p.label('next'), p.label('found')];
  return `xor r12d, r12d
    ${next}: inc r12; mov rsi, ${hex(p.page(0))}; mov [rsi], r12; cmp r12, 0x7000; jae ${found}
    mov edi, 10; mov edx, 1; mov eax, ${CALL.grant_table_op}; syscall; test rax, rax; jnz ${next}
    ${found}:`.replaceAll(/: /g, ':\n');
};
/** Frame 0 of the table is mapped at page 7; that entry grants page 2 with these flags to the domain itself. */
const grant = (p: Parts, flags: number): string =>
  f.lines(
    ownNumber(p),
    f.words(p, pair(DOMID_SELF, 1), 0, p.page(1)),
    p.call(CALL.grant_table_op, 2, p.page(0), 1),
    `mov rbx, ${hex(p.page(1))}; mov rsi, [rbx]; shl rsi, 12; or rsi, 0x63; mov rdi, ${hex(p.page(7))}; mov edx, ${UVMF_INVLPG}`,
    `mov eax, ${CALL.update_va_mapping}; syscall; ${p.keep('rax')}`,
    p.store(p.page(2), 0x1234),
    `${p.mfn(2).rax}; mov rbx, ${entryOf(p)}; mov [rbx + 4], eax; mov rcx, r12; shl ecx, 16; or ecx, ${flags}; mov [rbx], ecx`,
  );
/** Maps it where `host` says; the status, and the handle at page 6. */
const mapIt = (p: Parts, host: Value, flags: number, ref = refOf(p)): string =>
  f.lines(
    f.words(p, host, pair(flags, ref), 0, 0),
    `mov rbx, ${hex(p.page(0))}; mov [rbx + 16], r12`,
    p.call(CALL.grant_table_op, 0, p.page(0), 1),
    `mov rbx, ${hex(p.page(0))}; movsx rax, word ptr [rbx + 18]; ${p.keep('rax')}`,
    `mov rbx, ${hex(p.page(0))}; mov eax, [rbx + 20]; mov rbx, ${hex(p.page(6))}; mov [rbx], rax`,
  );
/** Unmaps the handle at page 6; the status. */
const unmapIt = (p: Parts, host: Value): string =>
  f.lines(
    f.words(p, host, 0, 0),
    `mov rbx, ${hex(p.page(6))}; mov rax, [rbx]; mov rbx, ${hex(p.page(0) + 16)}; mov [rbx], eax`,
    p.call(CALL.grant_table_op, 1, p.page(0), 1),
    `mov rbx, ${hex(p.page(0))}; movsx rax, word ptr [rbx + 20]; ${p.keep('rax')}`,
  );
/** The flags of the entry: whether it is in use. */
const inUse = (p: Parts): string =>
  `mov rbx, ${entryOf(p)}; movzx eax, word ptr [rbx]; ${p.keep('rax')}`;
const read = (p: Parts): string =>
  p.attempt(`mov rbx, ${hex(p.page(4))}; mov rax, [rbx]; ${p.keep('rax')}`);
const write = (p: Parts): string =>
  p.attempt(`mov rbx, ${hex(p.page(4))}; mov qword ptr [rbx], 0x99`);

export const pvGrants: readonly XenProgram[] = programs('grant of its own', [
  f.row('mapped, read, written, and unmapped', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host),
      ...[read(p), write(p), p.keepWord(p.page(2)), inUse(p)],
      unmapIt(p, p.page(4)),
      ...[inUse(p), read(p)],
    ),
  ),
  f.row('mapped read-only, and written', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host | MAP.readonly),
      ...[read(p), write(p), inUse(p)],
      unmapIt(p, p.page(4)),
    ),
  ),
  f.row('that may only be read, mapped to be written', GRANT, (p) =>
    f.lines(grant(p, 1 | 4), mapIt(p, p.page(4), MAP.host), read(p)),
  ),
  f.row('that is no grant, mapped', GRANT, (p) =>
    f.lines(grant(p, 0), mapIt(p, p.page(4), MAP.host)),
  ),
  f.row('mapped by its table entry, and unmapped', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.pte(4), MAP.host | MAP.pte),
      ...[read(p), inUse(p)],
      unmapIt(p, p.pte(4)),
      ...[inUse(p), read(p)],
    ),
  ),
  f.row('mapped by its own number, as DOMID_SELF', GRANT, (p) =>
    f.lines(grant(p, 1), `mov r12d, ${DOMID_SELF}`, mapIt(p, p.page(4), MAP.host)),
  ),
  f.row('beyond the table, mapped', GRANT, (p) =>
    f.lines(grant(p, 1), mapIt(p, p.page(4), MAP.host, 100_000)),
  ),
  f.row('mapped where nothing is mapped', GRANT, (p) =>
    f.lines(grant(p, 1), mapIt(p, f.UNMAPPED, MAP.host), inUse(p)),
  ),
  f.row('mapped in Xen', GRANT, (p) => f.lines(grant(p, 1), mapIt(p, f.XEN, MAP.host), inUse(p))),
  f.row('unmapped at another address', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host),
      unmapIt(p, p.page(5)),
      inUse(p),
      unmapIt(p, p.page(4)),
      inUse(p),
    ),
  ),
  f.row('unmapped twice', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host),
      unmapIt(p, p.page(4)),
      unmapIt(p, p.page(4)),
    ),
  ),
  f.row('mapped twice', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host | MAP.readonly),
      mapIt(p, p.page(5), MAP.host),
      inUse(p),
      unmapIt(p, p.page(5)),
      inUse(p),
    ),
  ),
  f.row('its mapping replaced by update_va_mapping', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host),
      p.call(CALL.update_va_mapping, p.page(4), 0, UVMF_INVLPG),
      inUse(p),
      unmapIt(p, p.page(4)),
      inUse(p),
    ),
  ),
  f.row('of a page that is a table', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      p.call(CALL.update_va_mapping, p.page(2), p.machine(2, 0x61), UVMF_INVLPG),
      f.ext(p, 0, p.mfn(2)),
      mapIt(p, p.page(4), MAP.host),
      mapIt(p, p.page(4), MAP.host | MAP.readonly),
    ),
  ),
  f.row('unmapped by another entry, at no address', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host | MAP.readonly),
      ...[unmapIt(p, p.pte(4)), unmapIt(p, 0), inUse(p), unmapIt(p, p.page(4)), inUse(p)],
    ),
  ),
  f.row('mapped by an entry that is none', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.machine(5), MAP.host | MAP.pte),
      mapIt(p, p.machine(5, 4), MAP.host | MAP.pte),
      mapIt(p, f.HUGE_FRAME, MAP.host | MAP.pte),
      inUse(p),
    ),
  ),
  f.row('mapped for nothing', GRANT, (p) => f.lines(grant(p, 1), mapIt(p, p.page(4), 0))),
  f.row('replaced by another mapping', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      p.store(p.page(5), 0x77),
      mapIt(p, p.page(4), MAP.host),
      f.words(p, p.page(4), p.page(5), 0),
      `mov rbx, ${hex(p.page(6))}; mov rax, [rbx]; mov rbx, ${hex(p.page(0) + 16)}; mov [rbx], eax`,
      p.call(CALL.grant_table_op, 7, p.page(0), 1),
      `mov rbx, ${hex(p.page(0))}; movsx rax, word ptr [rbx + 20]; ${p.keep('rax')}`,
      ...[read(p), inUse(p)],
      p.attempt(`mov rbx, ${hex(p.page(5))}; mov rax, [rbx]; ${p.keep('rax')}`),
    ),
  ),
  f.row('the version changed while it is mapped', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapIt(p, p.page(4), MAP.host),
      f.op(p, 'grant_table_op', 8, 2),
      unmapIt(p, p.page(4)),
    ),
  ),
  f.row('mapped for a device only', GRANT, (p) =>
    f.lines(grant(p, 1), mapIt(p, p.page(4), MAP.device), inUse(p), unmapIt(p, 0), inUse(p)),
  ),
]);
