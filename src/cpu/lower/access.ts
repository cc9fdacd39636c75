// Lowers memory accesses: linear address, TLB check inline, slow path on a miss.

import type { Effect, SegRef, Value, Width } from '../isa/ir.ts';
import { DATA_TLB_ENTRIES, DATA_TLB_FOLD, SCRATCH_AT } from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import type { Lowering } from './lower.ts';
import { loadOf, storeOf } from './memory-ops.ts';

/** Of a TLB entry: page addresses, and what makes a host address of a linear one. */
export const READ_TAG = 0;
export const WRITE_TAG = 8;
export const ADDEND = 16;
/** `dataTlbIndex` * 32: the shift by 12 is one by 7 with this mask. */
const INDEX_MASK = (DATA_TLB_ENTRIES - 1) << 5;

type Load = Value & { op: 'load' };
type Store = Effect & { op: 'store' };

/** Accesses of one instruction. A load that is written back keeps its host address in a local. */
export class Access {
  private readonly l: Lowering;
  private readonly hosts = new Map<number, { local: number; offset: number }>();
  private readonly linears = new Map<string, number>();

  constructor(l: Lowering) {
    this.l = l;
  }

  /** The i64 offset on the stack becomes a linear address. */
  toLinear(seg: SegRef, bytes: number, writes: boolean): void {
    const { c, site, program } = this.l;
    if (seg === -1) return;
    if (site.checksSegments) {
      const offset = this.l.temp('i64');
      c.set(offset);
      site.checkSegment(seg, offset, bytes, writes);
      c.get(offset);
    }
    if (site.pushSegBase(seg)) c.op('i64.add');
    if (program.variant.mode !== 64) c.i64(0xffffffffn).op('i64.and');
  }

  load(v: Load): void {
    const { c, site } = this.l;
    const bytes = v.width / 8;
    let offset = site.sharedHost?.(v.addr, () => this.linear(v.seg, v.addr, bytes, v.rmw)) ?? -1;
    if (offset < 0) {
      const va = this.linear(v.seg, v.addr, bytes, v.rmw);
      if (v.aligned) this.checkAligned(va);
      this.host(v, va);
      offset = 0;
    }
    if (v.rmw) {
      const local = this.l.temp('i32');
      this.hosts.set(v.id, { local, offset });
      c.tee(local);
    }
    c.mem(loadOf(v.width), offset);
  }

  store(e: Store): void {
    const { c, site } = this.l;
    const { width } = e.value;
    const host = e.load ? this.hosts.get(e.load.id) : undefined;
    if (host !== undefined)
      return this.storeBack(e, host.local, host.offset, this.l.inLocal(e.value));
    const linear = () => this.linear(e.seg, e.addr, width / 8, true);
    const offset = site.sharedHost?.(e.addr, linear) ?? -1;
    if (offset >= 0) {
      this.l.push(e.value);
      c.mem(storeOf(width), offset);
      return;
    }
    const value = this.l.inLocal(e.value);
    const va = this.linear(e.seg, e.addr, width / 8, true);
    if (e.aligned) this.checkAligned(va);
    if (site.hostOf) {
      site.hostOf(e.addr, e.seg, va, width / 8, true);
      c.get(value).mem(storeOf(width), 0);
      return;
    }
    const entry = this.entry(va);
    this.hit(va, entry, width, WRITE_TAG);
    c.iff();
    this.pushHit(va, entry);
    c.get(value).mem(storeOf(width), 0);
    c.else();
    this.throughScratch(va, value, width, e.seg);
    c.end();
  }

  probe(e: Effect & { op: 'probe' }): void {
    const { site } = this.l;
    if (site.elsewhere) return site.elsewhere();
    const va = this.linear(e.seg, e.addr, e.bytes, true);
    site.slowAccess('probe', va, e.bytes, e.seg);
    site.leaveFaultedIf();
  }

  /** The load was checked for writing: in RAM the host address serves, else the value takes the slow way and cannot fault. */
  private storeBack(e: Store, host: number, offset: number, value: number): void {
    const { c, site } = this.l;
    const { width } = e.value;
    if (site.hostOf) {
      c.get(host).get(value).mem(storeOf(width), offset);
      return;
    }
    c.get(host).get(site.st).i32(SCRATCH_AT).op('i32.add').op('i32.ne').iff();
    c.get(host).get(value).mem(storeOf(width), 0);
    c.else();
    this.throughScratch(this.linear(e.seg, e.addr, width / 8, true), value, width, e.seg);
    c.end();
  }

  private throughScratch(va: number, value: number, width: Width, seg: SegRef): void {
    const { c, site } = this.l;
    c.get(site.st).get(value).mem(storeOf(width), SCRATCH_AT);
    site.slowAccess('store', va, width / 8, seg);
    site.leaveFaultedIf();
  }

  /** Local with the linear address; one per address value and segment. */
  private linear(seg: SegRef, addr: Value, bytes: number, writes: boolean): number {
    const key = `${addr.id}:${seg}`;
    const known = this.linears.get(key);
    if (known !== undefined) return known;
    const local = this.l.temp('i64');
    this.l.push(addr);
    this.toLinear(seg, bytes, writes);
    this.l.c.set(local);
    this.linears.set(key, local);
    return local;
  }

  private checkAligned(va: number): void {
    this.l.c.get(va).op('i32.wrap_i64').i32(15).op('i32.and');
    this.l.faultIf(13, 0);
  }

  /** Local with the address of the TLB entry that `va` maps to. */
  private entry(va: number): number {
    const { c, site } = this.l;
    const entry = this.l.temp('i32');
    emitEntry(c, site.tlb, va, entry);
    return entry;
  }

  private hit(va: number, entry: number, width: Width, tag: number): void {
    emitHit(this.l.c, va, entry, width / 8, tag);
  }

  /** Leaves the host address of the bytes at `va`. */
  private host({ rmw, width, seg, addr }: Load, va: number): void {
    const { c, site } = this.l;
    if (site.hostOf) return site.hostOf(addr, seg, va, width / 8, rmw);
    const entry = this.entry(va);
    const host = this.l.temp('i32');
    this.hit(va, entry, width, rmw ? WRITE_TAG : READ_TAG);
    c.iff('i32');
    this.pushHit(va, entry);
    c.else();
    site.slowAccess(rmw ? 'rmw' : 'load', va, width / 8, seg);
    c.tee(host).op('i32.eqz');
    site.leaveFaultedIf();
    c.get(host);
    c.end();
  }

  private pushHit(va: number, entry: number): void {
    this.l.c.get(va).op('i32.wrap_i64').get(entry).mem('i32.load', ADDEND).op('i32.add');
  }
}

/** Local `entry` = the address of the TLB entry that `va` maps to. */
export function emitEntry(c: Code, tlb: number, va: number, entry: number): void {
  c.get(va).op('i32.wrap_i64').tee(entry).get(entry).i32(DATA_TLB_FOLD).op('i32.shr_u');
  c.op('i32.xor').i32(7).op('i32.shr_u').i32(INDEX_MASK).op('i32.and');
  c.get(tlb).op('i32.add').set(entry);
}

/** Leaves the truth of: the whole access lies in the page of the entry's tag. */
export function emitHit(c: Code, va: number, entry: number, bytes: number, tag: number): void {
  c.get(entry).mem('i64.load', tag).get(va);
  if (bytes > 1) c.i64(BigInt(bytes - 1)).op('i64.add');
  c.i64(-4096n).op('i64.and').op('i64.eq');
}
