// Who called whom: the functions on a kernel's stack from the inside out, by its own unwind tables.

import { type Peeked, peekAddress } from '../../cpu/peek.ts';
import {
  ORC_REG,
  ORC_TYPE,
  type OrcEntry,
  type OrcTable,
  type SymbolTable,
} from '../../image/index.ts';
import type { LinkAddress } from './link-address.ts';

/** A frame: the place in it, and the registers that its own frame hangs on. */
export interface Frame {
  readonly ip: number;
  readonly sp: number;
  readonly bp: number;
  /** `ip` is a return address: the call is before it. */
  readonly returned: boolean;
}

/** Functions that are told of. */
const FUNCTIONS_MAX = 8;
const WORD = 8;
const PAGE = 4096;
const NOWHERE = -1;
/** A guest may make any number of stacks; those of a kernel stay below. */
const PATHS_MAX = 200_000;

/** A way from the inside out that has been seen. */
interface Path {
  readonly text: string;
  readonly next: Map<number, Path>;
}

interface Place {
  readonly name: string | null;
  readonly orc: OrcEntry | null;
}

export class Unwinder {
  private readonly cpu: Peeked;
  private readonly orc: OrcTable;
  private readonly symbols: SymbolTable;
  private readonly link: LinkAddress;
  private readonly places = new Map<number, Place>();
  private readonly root: Path = { text: '', next: new Map() };
  private paths = 0;
  /** The page of the last word that was read, and where it lies. */
  private page = NOWHERE;
  private pageAt = NOWHERE;

  constructor(cpu: Peeked, orc: OrcTable, symbols: SymbolTable, link: LinkAddress) {
    this.cpu = cpu;
    this.orc = orc;
    this.symbols = symbols;
    this.link = link;
  }

  /** Functions beyond the frame's own, separated by spaces, as far as the stack can be told. */
  callers(frame: Frame): string {
    let { ip, sp, bp } = frame;
    let place = this.place(frame.returned ? ip - 1 : ip);
    let path = this.root;
    this.page = NOWHERE;
    for (let depth = 0; depth < FUNCTIONS_MAX; depth++) {
      const { orc } = place;
      // An exception ends it: what it interrupted has asked for nothing.
      if (!orc || orc.end || orc.type !== ORC_TYPE.call) break;
      const cfa = this.frameAddress(orc, sp, bp);
      if (cfa === null || cfa <= sp) break;
      const back = this.word(cfa - WORD);
      if (back === null) break;
      const outer = this.outerBp(orc, cfa, bp);
      if (outer === null) break;
      [ip, sp, bp] = [back, cfa, outer];
      place = this.place(ip - 1);
      if (place.name === null) break;
      const next = this.step(path, ip, place.name);
      if (!next) break;
      path = next;
    }
    return path.text;
  }

  private step(path: Path, ip: number, name: string): Path | null {
    const known = path.next.get(ip);
    if (known) return known;
    if (this.paths++ >= PATHS_MAX) return null;
    const fresh = { text: path.text === '' ? name : `${path.text} ${name}`, next: new Map() };
    path.next.set(ip, fresh);
    return fresh;
  }

  private place(ip: number): Place {
    const known = this.places.get(ip);
    if (known) return known;
    const address = this.link.of(this.cpu, ip);
    const name = address === null ? null : (this.symbols.find(address)?.name ?? null);
    const place = { name, orc: address === null ? null : this.orc.find(address) };
    // Before the kernel's own page tables it may not be known yet where it runs.
    if (address !== null && this.places.size < PATHS_MAX) this.places.set(ip, place);
    return place;
  }

  /** The value that RSP had before the call. */
  private frameAddress({ spReg, spOffset }: OrcEntry, sp: number, bp: number): number | null {
    switch (spReg) {
      case ORC_REG.sp:
        return sp + spOffset;
      case ORC_REG.bp:
        return bp + spOffset;
      case ORC_REG.bpIndirect:
        return this.word(bp + spOffset);
      case ORC_REG.spIndirect: {
        const kept = this.word(sp);
        return kept === null ? null : kept + spOffset;
      }
      default:
        return null;
    }
  }

  private outerBp({ bpReg, bpOffset }: OrcEntry, cfa: number, bp: number): number | null {
    if (bpReg === ORC_REG.prevSp) return this.word(cfa + bpOffset);
    if (bpReg === ORC_REG.bp) return this.word(bp + bpOffset);
    return bp;
  }

  private word(va: number): number | null {
    if (va % WORD !== 0) return null;
    const offset = ((va % PAGE) + PAGE) % PAGE;
    if (va - offset !== this.page) {
      this.page = va - offset;
      this.pageAt = peekAddress(this.cpu, this.page);
    }
    if (this.pageAt < 0) return null;
    const { views, layout } = this.cpu;
    const i = (layout.ramBase + this.pageAt + offset) >>> 2;
    return views.i32[i + 1]! * 0x1_0000_0000 + views.u32[i]!;
  }
}
