// What the quick ways of slow paths are emitted with: the state's fields, the usual conditions, and the helpers of their module.

import { CR4_SMAP, EFLAGS_AC, EFLAGS_STATUS } from '../control-bits.ts';
import { COUNTED_POLICY, COUNTERS_AT } from '../counted.ts';
import { FLAT_LIMIT } from '../slow/system-calls.ts';
import {
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
  type FieldName,
  FL_FULL,
  GPR_AT,
  type Layout,
  SEG_AT,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from '../state.ts';
import { Code } from '../wasm/encode.ts';
import { R_LEFT, R_NEXT } from './records.ts';

const DATA_TLB_BYTES = DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
const FETCH_TLB_BYTES = FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE;
const USER_TLB = 2;
const PAGE_BYTES = 4096;

/** The parts of a layout that are constants of the module. */
export type Places = Pick<Layout, 'state' | 'counted' | 'dataTlbs' | 'fetchTlbs' | 'tlbLists'>;

/** Functions of the module, by index. */
export interface Helpers {
  readonly flags: number;
  readonly hit: number;
  readonly bulk: number;
  readonly loadSegment: number;
  /** As `hit`, for what may be written. */
  readonly hitWrite: number;
  /** Of the TLB: `()`, and `(va i64)`. */
  readonly flushNonGlobal: number;
  readonly flushPage: number;
  /** See `SlowWays`. */
  readonly hypercall: number;
}

export class QuickSite {
  readonly c: Code;
  readonly st: number;
  readonly t: number;
  readonly v: number;
  readonly places: Places;
  readonly helpers: Helpers;
  /** Where a quick way goes that does not apply. Nothing has changed then. */
  decline = 0;

  constructor(places: Places, helpers: Helpers, params = 1) {
    this.places = places;
    this.helpers = helpers;
    this.c = new Code(params);
    this.st = this.c.take('i32');
    this.t = this.c.take('i32');
    this.v = this.c.take('i64');
    this.c.i32(places.state).set(this.st);
  }

  unlessExits(policy: number): void {
    this.load('policy').i32(policy).op('i32.and').brIf(this.decline);
  }

  /** The same, but where counting is enough: then it is for `count`. */
  unlessExitsUncounted(policy: number): void {
    const { c } = this;
    this.load('policy').i32(this.places.counted).mem('i32.load', COUNTED_POLICY);
    c.i32(-1).op('i32.xor').op('i32.and').i32(policy).op('i32.and').brIf(this.decline);
    // Across two pages it is reported by another name, see hypervisors/hw/seen-instructions.ts.
    this.load('policy').i32(policy).op('i32.and').i32(0).op('i32.ne');
    this.load('rec').mem('i32.load16_u', R_NEXT).i32(PAGE_BYTES).op('i32.gt_u').op('i32.and');
    c.brIf(this.decline);
  }

  /** Adds 1 to the counter if `policy` wants the instruction. */
  count(policy: number, which: number): void {
    const { c } = this;
    const at = COUNTERS_AT + 4 * which;
    c.i32(this.places.counted).i32(this.places.counted).mem('i32.load', at);
    this.load('policy').i32(policy).op('i32.and').i32(0).op('i32.ne').op('i32.add');
    c.mem('i32.store', at);
  }

  /** As `Cx.checkInterrupts`: the engine stops at the next boundary if an interrupt or NMI waits. */
  checkInterrupts(): void {
    const { c, t } = this;
    this.load('irqLine');
    this.load('nmiPending').op('i32.or').iff();
    this.store('attention', () => c.i32(1));
    this.load('budget').set(t);
    this.store('slack', () => this.load('slack').get(t).op('i32.add'));
    this.store('budget', () => c.i32(0));
    c.end();
  }

  /** Declines unless `push` leaves a word whose bits under `mask` are `value`. */
  only(push: () => void, mask: number, value: number): void {
    push();
    this.c.i32(mask).op('i32.and').i32(value).op('i32.ne').brIf(this.decline);
  }

  /** Leaves the data TLB of accesses that the processor itself makes, which SMAP watches whatever AC says. */
  systemTlb(): void {
    this.c.i32(this.places.dataTlbs).i32(this.places.dataTlbs + DATA_TLB_BYTES);
    this.load('cr4').i32(CR4_SMAP).op('i32.and').op('select');
  }

  /** From an address (64 bits) and a number of bytes, into `to`: where the processor itself finds them in linear memory. */
  systemHit(to: number, writes = false): void {
    this.systemTlb();
    this.c.call(writes ? this.helpers.hitWrite : this.helpers.hit).tee(to);
    this.c.op('i32.eqz').brIf(this.decline);
  }

  /** Leaves the count of instructions completed before this one, as `Cx.retired`. */
  pushRetired(): void {
    const { c } = this;
    this.load('horizon');
    c.get(this.st).mem('i64.load32_s', FIELDS.budget.at).op('i64.sub');
    c.get(this.st).mem('i64.load32_s', FIELDS.slack.at).op('i64.sub');
    this.load('rec').mem('i64.load8_u', R_LEFT).op('i64.sub');
  }

  /** The data TLB of CPL 0, see modes.ts. */
  useSupervisorTlb(): void {
    const { c } = this;
    this.store('dataTlb', () => {
      c.i32(this.places.dataTlbs).i32(this.places.dataTlbs + DATA_TLB_BYTES);
      this.load('cr4').i32(CR4_SMAP).op('i32.and').i32(0).op('i32.ne');
      this.load('eflags').i32(EFLAGS_AC).op('i32.and').op('i32.eqz').op('i32.and').op('select');
    });
  }

  /** Those of CPL 3 while alignment is not checked. */
  useUserTlbs(): void {
    const { c, places } = this;
    this.store('dataTlb', () => c.i32(places.dataTlbs + USER_TLB * DATA_TLB_BYTES));
    this.store('fetchTlb', () => c.i32(places.fetchTlbs + FETCH_TLB_BYTES));
  }

  /** All of EFLAGS = `t`. */
  setFlags(): void {
    const { c, t } = this;
    this.store('eflags', () => c.get(t).i32(~EFLAGS_STATUS).op('i32.and').i32(2).op('i32.or'));
    this.store('flAux', () => c.get(t).i32(EFLAGS_STATUS).op('i32.and'));
    this.store('flOp', () => c.i32(FL_FULL * 4));
  }

  /** A flat segment with the selector `t` + `more`, and `rpl` set. */
  setFlat(n: number, more: number, attr: number, rpl = 0): void {
    const { c, st, t } = this;
    const at = SEG_AT + n * SEG_STRIDE;
    c.get(st).get(t).i32(more).op('i32.add').i32(rpl).op('i32.or').i32(0xffff).op('i32.and');
    c.mem('i32.store', at + SEG_SELECTOR);
    c.get(st)
      .i64(0n)
      .mem('i64.store', at + SEG_BASE);
    c.get(st)
      .i32(FLAT_LIMIT)
      .mem('i32.store', at + SEG_LIMIT);
    c.get(st)
      .i32(attr)
      .mem('i32.store', at + SEG_ATTR);
  }

  gpr32(n: number): Code {
    return this.c.get(this.st).mem('i32.load', GPR_AT + n * 8);
  }

  setGpr(n: number, push: () => void): void {
    this.c.get(this.st);
    push();
    this.c.mem('i64.store', GPR_AT + n * 8);
  }

  load(name: FieldName): Code {
    const { at, bits } = FIELDS[name];
    return this.c.get(this.st).mem(bits === 64 ? 'i64.load' : 'i32.load', at);
  }

  store(name: FieldName, push: () => void): void {
    const { at, bits } = FIELDS[name];
    this.c.get(this.st);
    push();
    this.c.mem(bits === 64 ? 'i64.store' : 'i32.store', at);
  }
}
