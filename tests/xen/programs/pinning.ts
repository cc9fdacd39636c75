// Page types: what may become a table of which level, and what then may not happen to it.

import * as abi from '../../../src/hypervisors/xen-pv/abi.ts';
import * as f from '../forms.ts';
import { type Parts, programs } from '../program.ts';

const REF = 'xen/arch/x86/mm.c get_page_type, xen/include/public/xen.h MMUEXT_PIN_*';
const { P, RW, US, PSE, NX } = f;
const LEVELS = [1, 2, 3, 4] as const;

/** An entry of a table that is not in use yet: a plain store through its writable mapping. */
const put = (p: Parts, table: number, slot: number, n: number, flags: number | bigint) =>
  p.store(p.page(table) + slot * 8, p.machine(n, flags));
const pin = (p: Parts, n: number, level: number) => f.ext(p, level - 1, p.mfn(n));
const unpin = (p: Parts, n: number) => f.ext(p, abi.MMUEXT_UNPIN_TABLE, p.mfn(n));
const hide = (p: Parts, ...pages: readonly number[]) =>
  f.lines(...pages.map((n) => f.remap(p, n, P)));

/** A chain of tables: page 4 (L4) to page 1 (L1), to page 5; each hidden, none pinned. */
const chain = (p: Parts, flags: number | bigint = P | RW | US) =>
  f.lines(
    put(p, 4, 0, 3, flags),
    put(p, 3, 0, 2, flags),
    put(p, 2, 0, 1, flags),
    put(p, 1, 0, 5, flags),
    hide(p, 1, 2, 3, 4),
  );

export const pinning = programs('pin', [
  ...LEVELS.flatMap((level) => [
    f.row(`an L${level} that is mapped writable`, REF, (p) => pin(p, 1, level)),
    f.row(`an empty L${level}, its writable mapping, and unpinned again`, REF, (p) =>
      f.lines(f.pinned(p, 1, level), f.remap(p, 1, P | RW), unpin(p, 1), f.remap(p, 1, P | RW)),
    ),
    f.row(`an L${level} twice`, REF, (p) => f.lines(f.pinned(p, 1, level), pin(p, 1, level))),
    ...LEVELS.filter((other) => other !== level).map((other) =>
      f.row(`an L${level} as an L${other} too`, REF, (p) =>
        f.lines(f.pinned(p, 1, level), pin(p, 1, other)),
      ),
    ),
    f.row(`a frame that is not there as an L${level}`, REF, (p) => f.ext(p, level - 1, f.NO_FRAME)),
    f.row(`a number that is no frame's as an L${level}`, REF, (p) =>
      f.ext(p, level - 1, f.HUGE_FRAME),
    ),
  ]),
  f.row('unpin what is not pinned', REF, (p) => unpin(p, 1)),
  f.row('unpin what is not there', REF, (p) => f.ext(p, abi.MMUEXT_UNPIN_TABLE, f.NO_FRAME)),
  f.row('unpin twice', REF, (p) => f.lines(f.pinned(p, 1, 1), unpin(p, 1), unpin(p, 1))),
  f.row('a whole chain of tables', REF, (p) =>
    f.lines(chain(p), pin(p, 4, 4), f.remap(p, 1, P | RW), unpin(p, 4), f.remap(p, 1, P | RW)),
  ),
  f.row('a part of a pinned chain as another level', REF, (p) =>
    f.lines(chain(p), pin(p, 4, 4), pin(p, 2, 1), pin(p, 2, 2), unpin(p, 4), unpin(p, 2)),
  ),
  f.row('a chain without the user bit', REF, (p) => f.lines(chain(p, P | RW), pin(p, 4, 4))),
  f.row('an L2 whose L1 is mapped writable', REF, (p) =>
    f.lines(put(p, 2, 0, 1, P | RW | US), hide(p, 2), pin(p, 2, 2)),
  ),
  f.row('an L1 that maps itself read-only', REF, (p) =>
    f.lines(put(p, 1, 0, 1, P), hide(p, 1), pin(p, 1, 1)),
  ),
  f.row('an L1 that maps itself writable', REF, (p) =>
    f.lines(put(p, 1, 0, 1, P | RW), hide(p, 1), pin(p, 1, 1)),
  ),
  f.row('an L2 that refers to itself', REF, (p) =>
    f.lines(put(p, 2, 0, 2, P | US), hide(p, 2), pin(p, 2, 2)),
  ),
  f.row('an L3 that refers to itself', REF, (p) =>
    f.lines(put(p, 3, 0, 3, P | US), hide(p, 3), pin(p, 3, 3)),
  ),
  f.row('an L4 that refers to itself read-only', REF, (p) =>
    f.lines(put(p, 4, 0, 4, P | US), hide(p, 4), pin(p, 4, 4)),
  ),
  f.row('an L4 that refers to itself writable', REF, (p) =>
    f.lines(put(p, 4, 0, 4, P | RW | US), hide(p, 4), pin(p, 4, 4)),
  ),
  ...([2, 3, 4] as const).flatMap((level) => [
    f.row(`an L${level} that refers to another one, and both unpinned`, REF, (p) =>
      f.lines(
        f.pinned(p, 1, level),
        put(p, 2, 0, 1, P | US),
        hide(p, 2),
        pin(p, 2, level),
        unpin(p, 1),
        f.remap(p, 1, P | RW),
        unpin(p, 2),
        f.remap(p, 1, P | RW),
      ),
    ),
    f.row(`an L${level} that refers to one that refers to another`, REF, (p) =>
      f.lines(
        f.pinned(p, 1, level),
        put(p, 2, 0, 1, P | US),
        hide(p, 2),
        pin(p, 2, level),
        put(p, 3, 0, 2, P | US),
        hide(p, 3),
        pin(p, 3, level),
        f.update(p, p.machine(1), p.machine(1, P | US)),
      ),
    ),
  ]),
  f.row('an L4 with an entry of Xen’s slots', REF, (p) =>
    f.lines(put(p, 4, 260, 3, P | US), hide(p, 3, 4), pin(p, 4, 4)),
  ),
  f.row('an L1 with a large page', REF, (p) =>
    f.lines(put(p, 1, 0, 5, P | PSE), hide(p, 1), pin(p, 1, 1)),
  ),
  f.row('an L2 with a large page', REF, (p) =>
    f.lines(put(p, 2, 0, 5, P | PSE | US), hide(p, 2), pin(p, 2, 2)),
  ),
  f.row('an L3 with a large page', REF, (p) =>
    f.lines(put(p, 3, 0, 5, P | PSE | US), hide(p, 3), pin(p, 3, 3)),
  ),
  f.row('an L1 with an entry without execution', REF, (p) =>
    f.lines(put(p, 1, 0, 5, BigInt(P | RW) | NX), hide(p, 1), pin(p, 1, 1)),
  ),
  f.row('an L2 with an entry without execution', REF, (p) =>
    f.lines(put(p, 2, 0, 1, BigInt(P | RW) | NX), hide(p, 1, 2), pin(p, 2, 2)),
  ),
  f.row('an L1 with a frame that is not there', REF, (p) =>
    f.lines(p.store(p.page(1), f.NO_FRAME * 4096 + P), hide(p, 1), pin(p, 1, 1)),
  ),
  f.row('an L2 with a frame that is not there', REF, (p) =>
    f.lines(p.store(p.page(2), f.NO_FRAME * 4096 + P), hide(p, 2), pin(p, 2, 2)),
  ),
  f.row('an L1 with anything in an entry that is not present', REF, (p) =>
    f.lines(p.store(p.page(1), 0x00ff_ffff_ffff_fffen), hide(p, 1), pin(p, 1, 1)),
  ),
  f.row('what an entry has gained when it was pinned', REF, (p) =>
    f.lines(
      put(p, 1, 0, 5, P | RW),
      put(p, 1, 1, 5, P | RW | US),
      hide(p, 1),
      pin(p, 1, 1),
      p.keepWord(p.page(1), 0xf_ffff_f000n),
      p.keepWord(p.page(1) + 8, 0xf_ffff_f000n),
    ),
  ),
  f.row('an L1 that is the page of another one', REF, (p) =>
    f.lines(put(p, 1, 0, 5, P | RW), hide(p, 1), pin(p, 1, 1), hide(p, 5), pin(p, 5, 1)),
  ),
]);
