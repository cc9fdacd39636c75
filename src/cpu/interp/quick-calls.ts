// Slow paths with a quick way in WebAssembly: what kernels do at every entry, exit and switch, without leaving for JavaScript.

import { bug } from '../../base/errors.ts';
import {
  CR4_SMAP,
  CR4_TSD,
  EFER_LMA,
  EFER_SCE,
  EFLAGS_AC,
  EFLAGS_DF,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_STATUS,
  EFLAGS_TF,
  EFLAGS_VIF,
  EFLAGS_VIP,
} from '../control-bits.ts';
import {
  CS,
  DPL3,
  DS,
  ES,
  FLAT_CODE64,
  FLAT_DATA,
  FS,
  GS,
  SS_REG,
  TYPE_ACCESSED,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_RW,
} from '../descriptors.ts';
import { flagsFunction } from '../lower/flags.ts';
import { POLICY_CR_READ, POLICY_IRET, POLICY_RDTSC, POLICY_SYSCALL } from '../policy.ts';
import { ALL_FLAGS, FLAT_LIMIT, SYSRET_FLAGS } from '../slow/system-calls.ts';
import {
  ARG_AT,
  ATTR_D,
  ATTR_DPL_SHIFT,
  ATTR_L,
  ATTR_NULL,
  ATTR_P,
  ATTR_S,
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
  type FieldName,
  FL_FULL,
  GPR_AT,
  type Layout,
  RET_AT,
  SEG_AT,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from '../state.ts';
import { Code, ModuleBuilder } from '../wasm/encode.ts';
import { bulkFunction, hitFunction, TLB_READ, TLB_WRITE } from './quick-bulk.ts';
import { R_LEFT, R_OSIZE } from './records.ts';

/** The frame of IRETQ. SDM 3A 6.14.3. */
const FRAME_RIP = 0;
const FRAME_CS = 8;
const FRAME_FLAGS = 16;
const FRAME_RSP = 24;
const FRAME_SS = 32;
const FRAME_BYTES = 40;
/** Flags that it pops at CPL 0, but RF, which is kept as a count. */
const IRET_FLAGS =
  EFLAGS_STATUS |
  EFLAGS_TF |
  EFLAGS_IF |
  EFLAGS_DF |
  EFLAGS_IOPL |
  EFLAGS_NT |
  EFLAGS_AC |
  EFLAGS_VIF |
  EFLAGS_VIP |
  EFLAGS_ID;
/** Attributes of a descriptor that are asked for, DPL aside: a present, accessed, non-conforming 64-bit code segment ... */
const CODE64_VALUE = ATTR_P | ATTR_S | TYPE_CODE | TYPE_ACCESSED | ATTR_L;
const CODE64_FIXED = CODE64_VALUE | TYPE_CONFORMING | ATTR_D | DPL3;
/** ... and a present, accessed, writable data segment. */
const STACK_VALUE = ATTR_P | ATTR_S | TYPE_RW | TYPE_ACCESSED;
const STACK_FIXED = STACK_VALUE | TYPE_CODE | DPL3;
/** In the high word of a descriptor; what of it, shifted by 8, is the attributes. */
const DESCRIPTOR_G = 1 << 23;
const ATTR_MASK = 0xf0ff;

const RCX = 1;
const RSP = 4;
const R11 = 11;
const SHADOW_STI = 1;
const DATA_TLB_BYTES = DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
const FETCH_TLB_BYTES = FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE;
const USER_TLB = 2;

/** The parts of a layout that are constants of the module. */
type Places = Pick<Layout, 'state' | 'dataTlbs' | 'fetchTlbs'>;

/**
 * A function `(id) -> 0 done, 1 faulted` in WebAssembly with the meaning of `slow`, which it asks where it has no quick
 * way or the usual conditions do not hold. `names`: of slow paths, by number. `slow/*.ts` says what they mean, and is
 * what the reference runs; each quick way here does the same, or nothing.
 */
export function quickCalls(
  memory: WebAssembly.Memory,
  places: Places,
  names: readonly string[],
  slow: (id: number) => number,
): unknown {
  const module = compiledFor(places, names);
  return new WebAssembly.Instance(module, { e: { memory, slow } }).exports.slow;
}

const compiled = new Map<string, WebAssembly.Module>();

function compiledFor(places: Places, names: readonly string[]): WebAssembly.Module {
  const { state, dataTlbs, fetchTlbs } = places;
  const key = `${state}/${dataTlbs}/${fetchTlbs}/${names.length}`;
  let module = compiled.get(key);
  if (!module) {
    module = new WebAssembly.Module(quickModule(places, names));
    compiled.set(key, module);
  }
  return module;
}

function quickModule(places: Places, names: readonly string[]): Uint8Array {
  const m = new ModuleBuilder();
  const type = m.type(['i32'], ['i32']);
  const slow = m.importFunction('e', 'slow', ['i32'], ['i32']);
  m.importMemory('e', 'memory', 1);
  const hitType = m.type(['i64', 'i32', 'i32'], ['i32']);
  const read = m.addFunction(hitType, hitFunction(TLB_READ).body());
  const write = m.addFunction(hitType, hitFunction(TLB_WRITE).body());
  const helpers = {
    flags: m.addFunction(type, flagsFunction().body()),
    hit: read,
    bulk: m.addFunction(type, bulkFunction({ read, write }).body()),
    loadSegment: m.addFunction(m.type(['i32', 'i32', 'i32'], []), loadSegmentFunction().body()),
  };
  m.addFunction(type, new QuickCalls(places, helpers).dispatcher(names, slow).body(), 'slow');
  return m.encode();
}

/** Functions of the module, by index. */
interface Helpers {
  readonly flags: number;
  readonly hit: number;
  readonly bulk: number;
  readonly loadSegment: number;
}

/** `(address of the segment register, selector, address of the descriptor)`, see descriptors.ts `setSegment`. */
function loadSegmentFunction(): Code {
  const c = new Code(3);
  const [lo, hi, limit] = [c.take('i32'), c.take('i32'), c.take('i32')];
  c.get(2).mem('i32.load', 0).set(lo);
  c.get(2).mem('i32.load', 4).set(hi);
  c.get(0).get(1).i32(0xffff).op('i32.and').mem('i32.store', SEG_SELECTOR);
  c.get(0).get(lo).i32(16).op('i32.shr_u');
  c.get(hi).i32(0xff).op('i32.and').i32(16).op('i32.shl').op('i32.or');
  c.get(hi).i32(0xff000000).op('i32.and').op('i32.or');
  c.op('i64.extend_i32_u').mem('i64.store', SEG_BASE);
  c.get(lo).i32(0xffff).op('i32.and').get(hi).i32(0xf0000).op('i32.and').op('i32.or').set(limit);
  c.get(0);
  c.get(limit).i32(12).op('i32.shl').i32(0xfff).op('i32.or').get(limit);
  c.get(hi).i32(DESCRIPTOR_G).op('i32.and').op('select').mem('i32.store', SEG_LIMIT);
  c.get(0).get(hi).i32(8).op('i32.shr_u').i32(ATTR_MASK).op('i32.and');
  c.mem('i32.store', SEG_ATTR);
  return c;
}

class QuickCalls {
  private readonly c = new Code(1);
  private readonly st = this.c.take('i32');
  private readonly t = this.c.take('i32');
  private readonly v = this.c.take('i64');
  private readonly places: Places;
  private readonly helpers: Helpers;
  /** Where a quick way goes that does not apply. Nothing has changed then. */
  private decline = 0;

  constructor(places: Places, helpers: Helpers) {
    this.places = places;
    this.helpers = helpers;
  }

  /** `(id)`: one case for each quick way, and the slow path behind them all. */
  dispatcher(names: readonly string[], slow: number): Code {
    const { c } = this;
    const ways: Readonly<Record<string, () => void>> = {
      rdtsc: () => this.rdtsc(),
      sti: () => this.sti(),
      set_ac: () => this.setAc(),
      swapgs: () => this.swapgs(),
      write_segment_base: () => this.writeSegmentBase(),
      syscall: () => this.syscall(),
      sysret: () => this.sysret(),
      iret: () => this.iret(),
      bulk: () => this.bulk(),
      read_control: () => this.readControl(),
    };
    c.i32(this.places.state).set(this.st);
    this.decline = c.block();
    const labels = new Map(Object.keys(ways).map((name) => [name, c.block()]));
    for (const name of labels.keys()) if (!names.includes(name)) bug(`no slow path named ${name}`);
    c.get(0).brTable(
      names.map((name) => labels.get(name) ?? this.decline),
      this.decline,
    );
    for (const name of [...labels.keys()].reverse()) {
      c.end();
      ways[name]?.();
      c.i32(0).op('return');
    }
    c.end();
    c.get(0).call(slow);
    return c;
  }

  /** SDM 2B RDTSC. */
  private rdtsc(): void {
    const { c } = this;
    this.load('cr4').i32(CR4_TSD).op('i32.and').i32(0).op('i32.ne');
    this.load('cpl').i32(0).op('i32.ne').op('i32.and').brIf(this.decline);
    this.unlessExits(POLICY_RDTSC);
    this.pushRetired();
    this.load('skipped').op('i64.add');
    this.load('tscOffset').op('i64.add').set(this.v);
    c.get(this.st).get(this.v).i64(0xffffffffn).op('i64.and').mem('i64.store', RET_AT);
    c.get(this.st)
      .get(this.v)
      .i64(32n)
      .op('i64.shr_u')
      .mem('i64.store', RET_AT + 16);
  }

  /** SDM 2B STI. Not when something waits that may have to be taken after the next instruction. */
  private sti(): void {
    const { c } = this;
    this.load('cpl');
    this.load('eflags').i32(EFLAGS_IOPL_SHIFT).op('i32.shr_u').i32(3).op('i32.and');
    c.op('i32.gt_u').brIf(this.decline);
    this.unlessWaiting();
    this.load('eflags').i32(EFLAGS_IF).op('i32.and').iff();
    c.i32(0).op('return').end();
    this.store('eflags', () => this.load('eflags').i32(EFLAGS_IF).op('i32.or'));
    this.store('shadow', () => c.i32(SHADOW_STI));
    this.store('shadowAt', () => {
      this.pushRetired();
      c.i64(2n).op('i64.add');
    });
  }

  /** At CPL 0, so that no alignment is checked: what AC decides is whether SMAP is in force. SDM 2A CLAC, 2B STAC. */
  private setAc(): void {
    const { c } = this;
    this.store('eflags', () => {
      this.load('eflags').i32(~EFLAGS_AC).op('i32.and');
      c.i32(EFLAGS_AC).i32(0).get(this.st).mem('i32.load', ARG_AT).op('select').op('i32.or');
    });
    this.useSupervisorTlb();
  }

  /** SDM 2B SWAPGS. */
  private swapgs(): void {
    const { c } = this;
    const at = SEG_AT + GS * SEG_STRIDE + SEG_BASE;
    c.get(this.st).mem('i64.load', at).set(this.v);
    c.get(this.st);
    this.load('kernelGsBase').mem('i64.store', at);
    this.store('kernelGsBase', () => c.get(this.v));
  }

  /** SDM 2B WRFSBASE/WRGSBASE. */
  private writeSegmentBase(): void {
    const { c } = this;
    c.get(this.st)
      .mem('i64.load', ARG_AT + 16)
      .tee(this.v);
    c.get(this.v).i64(16n).op('i64.shl').i64(16n).op('i64.shr_s').op('i64.ne').brIf(this.decline);
    c.get(this.st).mem('i32.load', ARG_AT).i32(SEG_STRIDE).op('i32.mul');
    c.get(this.st)
      .op('i32.add')
      .get(this.v)
      .mem('i64.store', SEG_AT + SEG_BASE);
  }

  /** From 64-bit code, with no step in sight. APM 3 SYSCALL, SDM 2B SYSCALL. */
  private syscall(): void {
    const { c, t } = this;
    this.onlyFrom64();
    this.load('eflags').i32(EFLAGS_TF).op('i32.and').brIf(this.decline);
    this.load('eflags')
      .i32(~(EFLAGS_STATUS | EFLAGS_RF))
      .op('i32.and');
    c.get(this.st).call(this.helpers.flags).op('i32.or').set(t);
    this.setGpr(R11, () => c.get(t).op('i64.extend_i32_u'));
    this.setGpr(RCX, () => this.load('rip'));
    this.store('rip', () => this.load('lstar'));
    c.get(t);
    c.get(this.st).mem('i32.load', FIELDS.sfmask.at).i32(ALL_FLAGS).op('i32.and');
    c.i32(-1).op('i32.xor').op('i32.and').set(t);
    this.setFlags();
    c.get(this.st).mem('i32.load16_u', FIELDS.star.at + 4);
    c.i32(0xfffc).op('i32.and').set(t);
    this.setFlat(CS, 0, FLAT_CODE64);
    this.setFlat(SS_REG, 8, FLAT_DATA);
    this.store('cpl', () => c.i32(0));
    this.useSupervisorTlb();
    this.store('fetchTlb', () => c.i32(this.places.fetchTlbs));
  }

  /** To 64-bit code, where neither a step nor an alignment check waits. APM 3 SYSRET, SDM 2B SYSRET. */
  private sysret(): void {
    const { c, t } = this;
    this.onlyFrom64();
    this.unlessWaiting();
    this.load('rec').mem('i32.load8_u', R_OSIZE).i32(64).op('i32.ne').brIf(this.decline);
    this.gpr32(R11)
      .i32(EFLAGS_TF | EFLAGS_AC)
      .op('i32.and')
      .brIf(this.decline);
    this.load('eflags').i32(~ALL_FLAGS).op('i32.and');
    this.gpr32(R11)
      .i32(SYSRET_FLAGS & ALL_FLAGS)
      .op('i32.and')
      .op('i32.or')
      .set(t);
    this.setFlags();
    this.store('rip', () => c.get(this.st).mem('i64.load', GPR_AT + RCX * 8));
    c.get(this.st)
      .mem('i32.load16_u', FIELDS.star.at + 6)
      .set(t);
    this.setFlat(CS, 16, FLAT_CODE64 | DPL3, 3);
    this.setFlat(SS_REG, 8, FLAT_DATA | DPL3, 3);
    this.store('cpl', () => c.i32(3));
    this.useUserTlbs();
  }

  /**
   * IRETQ from ring 0 to 64-bit code of ring 0 or 3, from a frame and through descriptors that the TLB maps and that need
   * no accessed flag. Where anything is to be refused, or waits, nothing is done here. SDM 2A IRET.
   */
  private iret(): void {
    const { c, st, t, v } = this;
    const [frame, code, stack, rpl] = [c.take('i32'), c.take('i32'), c.take('i32'), c.take('i32')];
    this.load('codeMode').i32(64).op('i32.ne').brIf(this.decline);
    this.load('rec').mem('i32.load8_u', R_OSIZE).i32(64).op('i32.ne').brIf(this.decline);
    this.unlessExits(POLICY_IRET);
    this.unlessWaiting();
    this.load('cpl').brIf(this.decline);
    this.load('eflags').i32(EFLAGS_NT).op('i32.and').brIf(this.decline);
    c.get(st)
      .mem('i64.load', GPR_AT + RSP * 8)
      .i32(FRAME_BYTES);
    this.load('dataTlb').call(this.helpers.hit).tee(frame).op('i32.eqz').brIf(this.decline);
    // RIP and RSP canonical, nothing above the words of the others.
    for (const at of [FRAME_RIP, FRAME_RSP]) {
      c.get(frame).mem('i64.load', at).tee(v);
      c.get(v).i64(16n).op('i64.shl').i64(16n).op('i64.shr_s').op('i64.ne').brIf(this.decline);
    }
    c.get(frame)
      .mem('i32.load', FRAME_CS + 4)
      .get(frame)
      .mem('i32.load', FRAME_SS + 4);
    c.op('i32.or')
      .get(frame)
      .mem('i32.load', FRAME_FLAGS + 4)
      .op('i32.or')
      .brIf(this.decline);
    c.get(frame).mem('i32.load', FRAME_CS).i32(3).op('i32.and').set(rpl);
    this.frameFlags(frame, EFLAGS_TF).brIf(this.decline);
    this.descriptor(frame, FRAME_CS, code, CODE64_FIXED, CODE64_VALUE, rpl);
    this.stackOfFrame(frame, stack, rpl);
    c.get(rpl).iff();
    c.get(rpl).i32(3).op('i32.ne').brIf(this.decline);
    this.frameFlags(frame, EFLAGS_AC).brIf(this.decline);
    this.unlessInnerSegments();
    c.end();
    this.frameFlags(frame, IRET_FLAGS).get(st).mem('i32.load', FIELDS.eflags.at);
    c.i32(~IRET_FLAGS).op('i32.and').op('i32.or').set(t);
    this.frameFlags(frame, EFLAGS_RF).iff();
    this.store('rfAt', () => {
      this.pushRetired();
      c.i64(2n).op('i64.add');
    });
    c.end();
    this.setFlags();
    this.store('rip', () => c.get(frame).mem('i64.load', FRAME_RIP));
    this.setGpr(RSP, () => c.get(frame).mem('i64.load', FRAME_RSP));
    c.get(st)
      .i32(SEG_AT + CS * SEG_STRIDE)
      .op('i32.add');
    c.get(frame).mem('i32.load', FRAME_CS).get(code).call(this.helpers.loadSegment);
    this.loadStack(frame, stack);
    this.store('nmiMasked', () => c.i32(0));
    this.store('cpl', () => c.get(rpl));
    this.useSupervisorTlb();
    this.store('fetchTlb', () => c.i32(this.places.fetchTlbs));
    c.get(rpl).iff();
    this.useUserTlbs();
    c.end();
  }

  /** CR2, which every page fault asks for, and CR3. SDM 2B MOV. */
  private readControl(): void {
    const { c, st, v } = this;
    this.unlessExits(POLICY_CR_READ);
    c.get(st).mem('i32.load', ARG_AT).i32(2).op('i32.sub').i32(1).op('i32.gt_u').brIf(this.decline);
    this.load('cr2');
    this.load('cr3');
    c.get(st).mem('i32.load', ARG_AT).i32(2).op('i32.eq').op('select').set(v);
    c.get(st).get(v).mem('i64.store', RET_AT);
  }

  private bulk(): void {
    this.c.get(this.st).call(this.helpers.bulk).op('i32.eqz').brIf(this.decline);
  }

  private frameFlags(frame: number, mask: number): Code {
    return this.c.get(frame).mem('i32.load', FRAME_FLAGS).i32(mask).op('i32.and');
  }

  /**
   * Into `to` the address of the GDT entry of the frame's selector at `at`, whose attributes under `fixed` must be `value`
   * with DPL = `rpl`, as must the selector's RPL.
   */
  private descriptor(
    frame: number,
    at: number,
    to: number,
    fixed: number,
    value: number,
    rpl: number,
  ): void {
    const { c, t } = this;
    c.get(frame).mem('i32.load', at).i32(0xffff).op('i32.and').set(t);
    c.get(t).i32(7).op('i32.and').get(rpl).op('i32.ne').brIf(this.decline);
    c.get(t).i32(0xfff8).op('i32.and').tee(t).op('i32.eqz').brIf(this.decline);
    c.get(t).i32(7).op('i32.add');
    this.load('gdtrLimit').op('i32.gt_u').brIf(this.decline);
    this.load('gdtrBase').get(t).op('i64.extend_i32_u').op('i64.add').i32(8);
    // A supervisor access, which SMAP watches whatever AC says.
    c.i32(this.places.dataTlbs).i32(this.places.dataTlbs + DATA_TLB_BYTES);
    this.load('cr4').i32(CR4_SMAP).op('i32.and').op('select');
    c.call(this.helpers.hit).tee(to).op('i32.eqz').brIf(this.decline);
    c.get(to).mem('i32.load', 4).i32(8).op('i32.shr_u').i32(fixed).op('i32.and');
    c.get(rpl).i32(ATTR_DPL_SHIFT).op('i32.shl').i32(value).op('i32.or').op('i32.ne');
    c.brIf(this.decline);
  }

  /** `to`: the descriptor of the frame's SS, or 0 for a null one, which inner rings may have. */
  private stackOfFrame(frame: number, to: number, rpl: number): void {
    const { c } = this;
    c.i32(0).set(to);
    c.get(frame).mem('i32.load', FRAME_SS).i32(0xffff).op('i32.and').get(rpl).op('i32.or').iff();
    this.descriptor(frame, FRAME_SS, to, STACK_FIXED, STACK_VALUE, rpl);
    c.end();
  }

  private loadStack(frame: number, stack: number): void {
    const { c, st } = this;
    const at = SEG_AT + SS_REG * SEG_STRIDE;
    c.get(stack).iff();
    c.get(st).i32(at).op('i32.add').get(frame).mem('i32.load', FRAME_SS);
    c.get(stack).call(this.helpers.loadSegment);
    c.else();
    c.get(st)
      .i32(0)
      .mem('i32.store', at + SEG_SELECTOR);
    c.get(st)
      .i64(0n)
      .mem('i64.store', at + SEG_BASE);
    c.get(st)
      .i32(0)
      .mem('i32.store', at + SEG_LIMIT);
    c.get(st)
      .i32(ATTR_NULL)
      .mem('i32.store', at + SEG_ATTR);
    c.end();
  }

  /** An outer ring would lose such segments. */
  private unlessInnerSegments(): void {
    const { c, st, t } = this;
    for (const n of [ES, DS, FS, GS]) {
      c.get(st)
        .mem('i32.load', SEG_AT + n * SEG_STRIDE + SEG_ATTR)
        .tee(t);
      c.i32(ATTR_NULL).op('i32.and').op('i32.eqz');
      c.get(t).i32(DPL3).op('i32.and').i32(DPL3).op('i32.ne').op('i32.and').brIf(this.decline);
    }
  }

  /** SYSCALL and SYSRET as 64-bit kernels use them: code mode and mode key stay as they are. */
  private onlyFrom64(): void {
    const { c } = this;
    this.load('codeMode').i32(64).op('i32.ne').brIf(this.decline);
    const needed = EFER_SCE | EFER_LMA;
    this.load('efer').i32(needed).op('i32.and').i32(needed).op('i32.ne').brIf(this.decline);
    this.unlessExits(POLICY_SYSCALL);
    this.load('pendingDebug');
    c.brIf(this.decline);
  }

  private unlessExits(policy: number): void {
    this.load('policy').i32(policy).op('i32.and').brIf(this.decline);
  }

  /** An interrupt or NMI waits for its moment, which may be the next boundary. */
  private unlessWaiting(): void {
    this.load('irqLine');
    this.load('nmiPending').op('i32.or').brIf(this.decline);
  }

  /** Leaves the count of instructions completed before this one, as `Cx.retired`. */
  private pushRetired(): void {
    const { c } = this;
    this.load('horizon');
    c.get(this.st).mem('i64.load32_s', FIELDS.budget.at).op('i64.sub');
    c.get(this.st).mem('i64.load32_s', FIELDS.slack.at).op('i64.sub');
    this.load('rec').mem('i64.load8_u', R_LEFT).op('i64.sub');
  }

  /** The data TLB of CPL 0, see modes.ts. */
  private useSupervisorTlb(): void {
    const { c } = this;
    this.store('dataTlb', () => {
      c.i32(this.places.dataTlbs).i32(this.places.dataTlbs + DATA_TLB_BYTES);
      this.load('cr4').i32(CR4_SMAP).op('i32.and').i32(0).op('i32.ne');
      this.load('eflags').i32(EFLAGS_AC).op('i32.and').op('i32.eqz').op('i32.and').op('select');
    });
  }

  /** Those of CPL 3 while alignment is not checked. */
  private useUserTlbs(): void {
    const { c, places } = this;
    this.store('dataTlb', () => c.i32(places.dataTlbs + USER_TLB * DATA_TLB_BYTES));
    this.store('fetchTlb', () => c.i32(places.fetchTlbs + FETCH_TLB_BYTES));
  }

  /** All of EFLAGS = `t`. */
  private setFlags(): void {
    const { c, t } = this;
    this.store('eflags', () => c.get(t).i32(~EFLAGS_STATUS).op('i32.and').i32(2).op('i32.or'));
    this.store('flAux', () => c.get(t).i32(EFLAGS_STATUS).op('i32.and'));
    this.store('flOp', () => c.i32(FL_FULL * 4));
  }

  /** A flat segment with the selector `t` + `more`, and `rpl` set. */
  private setFlat(n: number, more: number, attr: number, rpl = 0): void {
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

  private gpr32(n: number): Code {
    return this.c.get(this.st).mem('i32.load', GPR_AT + n * 8);
  }

  private setGpr(n: number, push: () => void): void {
    this.c.get(this.st);
    push();
    this.c.mem('i64.store', GPR_AT + n * 8);
  }

  private load(name: FieldName): Code {
    const { at, bits } = FIELDS[name];
    return this.c.get(this.st).mem(bits === 64 ? 'i64.load' : 'i32.load', at);
  }

  private store(name: FieldName, push: () => void): void {
    const { at, bits } = FIELDS[name];
    this.c.get(this.st);
    push();
    this.c.mem(bits === 64 ? 'i64.store' : 'i32.store', at);
  }
}
