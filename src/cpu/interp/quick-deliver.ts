// Exceptions and interrupts in WebAssembly, to handlers as 64-bit and flat 32-bit kernels have them: deliver.ts says what it means.

import {
  CR0_PE,
  DB,
  EFER_LMA,
  EFLAGS_IF,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_STATUS,
  EFLAGS_TF,
  EFLAGS_VM,
  PF,
} from '../control-bits.ts';
import { DR6_BS, DR7_ENABLED } from '../debug.ts';
import { CS, SS_REG, TR } from '../descriptors.ts';
import { EVENT_FAULT, EVENT_HAS_ERROR } from '../gates.ts';
import { POLICY_INTERRUPTS } from '../policy.ts';
import {
  FIELDS,
  GPR_AT,
  MODE_KEY_FLAT,
  SEG_AT,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from '../state.ts';
import type { Code } from '../wasm/encode.ts';
import {
  CODE32,
  CODE64,
  descriptor,
  loadNullStack,
  loadSegment,
  STACK32,
} from './quick-segments.ts';
import { type Helpers, type Places, QuickSite } from './quick-site.ts';
import { R_LEFT, R_LENGTH, R_NEXT } from './records.ts';

const RSP = 4;
/** In the high word of a gate: present, type 14 or 15; which of them, so that a trap gate leaves IF. SDM 3A 6.11, 6.14.1. */
const GATE_MASK = 0x9e00;
const GATE = 0x8e00;
const GATE_TRAP = 0x100;
const [GATE64_BYTES, GATE32_BYTES] = [16, 8];
/** SDM 3A 7.7 and 7.2.1: where a TSS has the stack of ring 0 and, in 64-bit mode, those of the IST before the first. */
const [TSS_STACK0, TSS_IST0] = [4, 0x1c];
const TSS32_STACK_BYTES = 6;
const TR_AT = SEG_AT + TR * SEG_STRIDE;
const TSS32_TYPE = 8;
const EXCEPTIONS = 32;
/** Words of a frame that has SS:RSP, and of one that has not. */
const [OUTER_WORDS, INNER_WORDS] = [5, 3];

/** Not 0 in one of these: Cpu.run has more to do at this boundary than to take an interrupt. */
const OTHER_REASONS = [
  ...(['halted', 'nmiPending', 'laterVector', 'pendingDebug'] as const),
  ...(['stop', 'faultsStop'] as const),
];

/** Parameters of the function. */
const [VECTOR, ERROR, HOW, RIP] = [0, 1, 2, 3];

/** Locals: first what the event goes to, then what its frame tells of. */
interface Entry {
  /** The gate's high word. */
  readonly gate: number;
  readonly cs: number;
  readonly code: number;
  readonly target: number;
  readonly frame: number;
  readonly oldCs: number;
  readonly oldSs: number;
  readonly oldSp: number;
  readonly flags: number;
}

/**
 * `(vector, error code, how, RIP to push) -> 1 the handler is next, 0 nothing has been done`: through an interrupt or trap
 * gate to flat code of ring 0, when the TLB maps all that is read and written.
 */
export function enterFunction(places: Places, helpers: Helpers): Code {
  const q = new QuickSite(places, helpers, 4);
  const { c } = q;
  const e = entryOf(c);
  q.decline = c.block();
  c.get(VECTOR).i32(DB).op('i32.eq').brIf(q.decline);
  q.only(() => q.load('cr0'), CR0_PE, CR0_PE);
  q.load('efer').i32(EFER_LMA).op('i32.and').iff();
  enterLong(q, e);
  c.else();
  enterFlat32(q, e);
  c.end();
  q.store('rip', () => c.get(e.target));
  flagsOnEntry(q, e);
  q.store('cpl', () => c.i32(0));
  q.useSupervisorTlb();
  q.store('fetchTlb', () => c.i32(places.fetchTlbs));
  q.store('halted', () => c.i32(0));
  q.store('shadow', () => c.i32(0));
  q.store('pendingDebug', () => q.load('pendingDebug').i32(~DR6_BS).op('i32.and'));
  c.i32(1).op('return').end();
  c.i32(0);
  return c;
}

/**
 * `() -> 1 the handler is next, 0 ask the engine`: the fault that has stopped the hot function, with what the engine and
 * core.ts do about it. Not when somebody wants to look at this boundary, or at this exception.
 */
export function faultFunction(places: Places, helpers: Helpers, enter: number): Code {
  const q = new QuickSite(places, helpers, 0);
  const { c, t, v } = q;
  const [vector, left] = [c.take('i32'), c.take('i32')];
  q.decline = c.block();
  q.load('faultVector').tee(vector);
  c.i32(EXCEPTIONS).op('i32.ge_u').brIf(q.decline);
  q.load('policyExceptions').get(vector).op('i32.shr_u').i32(1).op('i32.and').brIf(q.decline);
  q.load('faultsStop');
  q.load('attention').op('i32.or');
  q.load('laterVector').op('i32.or').brIf(q.decline);
  q.only(() => q.load('eflags'), EFLAGS_TF, 0);
  q.only(() => c.get(q.st).mem('i32.load', FIELDS.dr7.at), DR7_ENABLED, 0);
  // Without a record the fetch has faulted: RIP is set, and nothing was paid.
  q.load('rip').set(v);
  q.load('rec').tee(t).iff();
  c.get(t).mem('i32.load8_u', R_LEFT).set(left);
  q.load('ripPage').get(t).mem('i64.load16_u', R_NEXT).op('i64.add');
  c.get(t).mem('i64.load8_u', R_LENGTH).op('i64.sub').set(v);
  q.load('codeMode').i32(64).op('i32.ne').iff();
  c.get(v).i64(0xffffffffn).op('i64.and').set(v).end();
  c.end();
  c.get(vector);
  q.load('faultError');
  q.load('faultHasError')
    .i32(EVENT_FAULT | EFLAGS_RF)
    .op('i32.or');
  c.get(v).call(enter).op('i32.eqz').brIf(q.decline);
  q.store('budget', () => q.load('budget').get(left).op('i32.add'));
  q.store('rec', () => c.i32(0));
  q.store('pendingDebug', () => c.i32(0));
  // What waits is looked at before the handler's first instruction.
  q.checkInterrupts();
  c.i32(1).op('return').end();
  c.i32(0);
  return c;
}

/** What `acknowledge` says instead of a vector: there is none after all, or the engine has to be left. */
export const NO_VECTOR = -1;
export const LEAVE = -2;

/**
 * `() -> 1 go on, 0 the engine stops`: at a boundary at which it is to stop, takes the interrupt if nothing else is the reason,
 * as Cpu.run does, or has done what was asked for at this count; whatever else is to be looked at there is left to it.
 */
export function interruptFunction(
  places: Places,
  helpers: Helpers,
  ways: { enter: number; acknowledge: number; due: number; deliver: number },
): Code {
  const q = new QuickSite(places, helpers, 0);
  const { c, t, v } = q;
  const [vector, rec] = [c.take('i32'), c.take('i32')];
  q.decline = c.block();
  // What is left of the grant. Where there is enough, a block has not fitted into it.
  q.load('budget');
  q.load('slack').op('i32.add').tee(t).i32(0).op('i32.lt_s').brIf(q.decline);
  q.load('attention').op('i32.eqz').get(t).i32(0).op('i32.ne').op('i32.and').brIf(q.decline);
  q.only(() => q.load('eflags'), EFLAGS_TF, 0);
  for (const other of OTHER_REASONS) {
    q.load(other);
    if (other !== OTHER_REASONS[0]) c.op('i32.or');
  }
  c.brIf(q.decline);
  q.only(() => c.get(q.st).mem('i32.load', FIELDS.dr7.at), DR7_ENABLED, 0);
  q.load('horizon').get(t).op('i64.extend_i32_u').op('i64.sub').i64(1n).op('i64.add').set(v);
  q.load('shadowAt').get(v).op('i64.eq');
  q.load('rfAt').get(v).op('i64.eq').op('i32.or').brIf(q.decline);
  q.load('rec').set(rec);
  q.store('rec', () => c.i32(0));
  const leave = () => {
    q.store('rec', () => c.get(rec));
    c.br(q.decline);
  };
  q.load('irqLine').op('i32.eqz');
  q.load('eflags').i32(EFLAGS_IF).op('i32.and').op('i32.eqz').op('i32.or').iff();
  c.call(ways.due).iff();
  c.i32(1).op('return').end();
  leave();
  c.end();
  q.load('policy').i32(POLICY_INTERRUPTS).op('i32.and');
  // At the end of what was granted somebody else may be due before the interrupt.
  c.get(t).op('i32.eqz').op('i32.or').iff();
  leave();
  c.end();
  c.call(ways.acknowledge).tee(vector).i32(LEAVE).op('i32.eq').iff();
  leave();
  c.end();
  c.get(vector).i32(NO_VECTOR).op('i32.eq').iff();
  c.i32(1).op('return').end();
  // An exception's number may be wanted by the exit policy.
  c.get(vector).i32(EXCEPTIONS).op('i32.ge_u').iff();
  c.get(vector).i32(0).i32(0);
  q.load('rip').call(ways.enter).iff();
  c.i32(1).op('return').end();
  c.end();
  c.get(vector).call(ways.deliver).op('return').end();
  c.i32(0);
  return c;
}

function entryOf(c: Code): Entry {
  const take = () => c.take('i32');
  return {
    gate: take(),
    cs: take(),
    code: take(),
    target: c.take('i64'),
    frame: take(),
    oldCs: take(),
    oldSs: take(),
    oldSp: c.take('i64'),
    flags: take(),
  };
}

/** SDM 3A 6.14. */
function enterLong(q: QuickSite, e: Entry): void {
  const { c } = q;
  const sp = c.take('i64');
  const bytes = () => frameBytes(c, 8, () => c.i32(OUTER_WORDS));
  readGate(q, e, GATE64_BYTES);
  c.get(e.target).get(e.target).i64(16n).op('i64.shl').i64(16n).op('i64.shr_s').op('i64.ne');
  c.brIf(q.decline);
  descriptor(q, e.cs, e.code, CODE64, () => c.i32(0));
  stackTop64(q, e, sp);
  // The processor aligns the frame to 16 bytes. SDM 3A 6.14.2.
  c.get(sp).i64(-16n).op('i64.and');
  bytes();
  c.op('i64.extend_i32_u').op('i64.sub').tee(sp);
  bytes();
  q.systemHit(e.frame, true);
  noteOld(q, e);
  q.load('cpl').iff();
  loadNullStack(q);
  c.end();
  loadSegment(q, CS, e.cs, e.code);
  q.setGpr(RSP, () => c.get(sp));
  q.store('codeMode', () => c.i32(64));
  q.store('modeKey', () => c.i32(64));
  pushError(q, e, 8);
  c.get(e.frame).get(RIP).mem('i64.store', 0);
  c.get(e.frame).get(e.oldCs).op('i64.extend_i32_u').mem('i64.store', 8);
  c.get(e.frame).get(e.flags).op('i64.extend_i32_u').mem('i64.store', 16);
  c.get(e.frame).get(e.oldSp).mem('i64.store', 24);
  c.get(e.frame).get(e.oldSs).op('i64.extend_i32_u').mem('i64.store', 32);
}

/** Between flat segments, so that the mode key stays as it is. SDM 3A 6.12.1. */
function enterFlat32(q: QuickSite, e: Entry): void {
  const { c } = q;
  const [sp, ss, stack, words] = [c.take('i32'), c.take('i32'), c.take('i32'), c.take('i32')];
  const bytes = () => frameBytes(c, 4, () => c.get(words));
  q.only(() => q.load('modeKey'), -1, 32 | MODE_KEY_FLAT);
  q.only(() => q.load('eflags'), EFLAGS_VM, 0);
  readGate(q, e, GATE32_BYTES);
  descriptor(q, e.cs, e.code, CODE32, () => c.i32(0));
  q.gpr32(RSP).set(sp);
  c.i32(INNER_WORDS).set(words);
  q.load('cpl').iff();
  stack32(q, sp, ss, stack);
  c.i32(OUTER_WORDS).set(words);
  c.end();
  c.get(sp);
  bytes();
  c.op('i32.sub').tee(sp).op('i64.extend_i32_u');
  bytes();
  q.systemHit(e.frame, true);
  noteOld(q, e);
  q.load('cpl').iff();
  loadSegment(q, SS_REG, ss, stack);
  c.end();
  loadSegment(q, CS, e.cs, e.code);
  q.setGpr(RSP, () => c.get(sp).op('i64.extend_i32_u'));
  pushError(q, e, 4);
  c.get(e.frame).get(RIP).mem('i64.store32', 0);
  c.get(e.frame).get(e.oldCs).mem('i32.store', 4);
  c.get(e.frame).get(e.flags).mem('i32.store', 8);
  q.load('cpl').iff();
  c.get(e.frame).get(e.oldSp).mem('i64.store32', 12);
  c.get(e.frame).get(e.oldSs).mem('i32.store', 16);
  c.end();
}

function readGate(q: QuickSite, e: Entry, bytes: number): void {
  const { c, t } = q;
  const at = e.frame; // Not needed yet.
  c.get(VECTOR).i32(bytes).op('i32.mul').tee(t);
  c.i32(bytes - 1).op('i32.add');
  q.load('idtrLimit').op('i32.gt_u').brIf(q.decline);
  q.load('idtrBase').get(t).op('i64.extend_i32_u').op('i64.add').i32(bytes);
  q.systemHit(at);
  c.get(at).mem('i32.load', 4).set(e.gate);
  q.only(() => c.get(e.gate), GATE_MASK, GATE);
  // Its RPL counts for nothing; in CS it is the privilege level.
  c.get(at).mem('i32.load16_u', 2).i32(0xfffc).op('i32.and').set(e.cs);
  c.get(e.gate).i32(0xffff0000).op('i32.and');
  c.get(at).mem('i32.load16_u', 0).op('i32.or').op('i64.extend_i32_u');
  if (bytes === GATE64_BYTES) c.get(at).mem('i64.load32_u', 8).i64(32n).op('i64.shl').op('i64.or');
  c.set(e.target);
}

/** Into `sp` RSP, or where the IST or ring 0's entry of the TSS says. SDM 3A 6.14.4, 6.14.5. */
function stackTop64(q: QuickSite, e: Entry, sp: number): void {
  const { c, t } = q;
  c.get(q.st)
    .mem('i64.load', GPR_AT + RSP * 8)
    .set(sp);
  c.get(e.gate).i32(7).op('i32.and').tee(t);
  q.load('cpl').op('i32.or').iff();
  c.get(t).i32(8).op('i32.mul').i32(TSS_IST0).op('i32.add').i32(TSS_STACK0).get(t);
  c.op('select').set(t);
  inTss(q, e.frame, 8);
  c.get(e.frame).mem('i64.load', 0).set(sp);
  c.end();
}

/** ESP and SS of ring 0, of a 32-bit TSS. */
function stack32(q: QuickSite, sp: number, ss: number, stack: number): void {
  const { c, st, t } = q;
  q.only(() => c.get(st).mem('i32.load', TR_AT + SEG_ATTR), TSS32_TYPE, TSS32_TYPE);
  c.i32(TSS_STACK0).set(t);
  inTss(q, stack, TSS32_STACK_BYTES);
  c.get(stack).mem('i32.load', 0).set(sp);
  c.get(stack).mem('i32.load16_u', 4).set(ss);
  q.only(() => c.get(ss), 3, 0);
  descriptor(q, ss, stack, STACK32, () => c.i32(0));
}

/** Into `to` where the TSS has `bytes` at the offset `t`. */
function inTss(q: QuickSite, to: number, bytes: number): void {
  const { c, st, t } = q;
  c.get(t)
    .i32(bytes - 1)
    .op('i32.add');
  c.get(st)
    .mem('i32.load', TR_AT + SEG_LIMIT)
    .op('i32.gt_u')
    .brIf(q.decline);
  c.get(st).mem('i64.load', TR_AT + SEG_BASE);
  c.get(t).op('i64.extend_i32_u').op('i64.add').i32(bytes);
  q.systemHit(to);
}

/** Leaves the bytes of a frame of `pushWords` words, and of the error code if there is one. */
function frameBytes(c: Code, word: number, pushWords: () => void): void {
  pushWords();
  c.get(HOW).i32(EVENT_HAS_ERROR).op('i32.and').op('i32.add').i32(word).op('i32.mul');
}

/** What the frame will tell of, and CR2: from here on nothing declines. */
function noteOld(q: QuickSite, e: Entry): void {
  const { c, st } = q;
  for (const [n, to] of [
    [CS, e.oldCs],
    [SS_REG, e.oldSs],
  ] as const)
    c.get(st)
      .mem('i32.load', SEG_AT + n * SEG_STRIDE + SEG_SELECTOR)
      .set(to);
  c.get(st)
    .mem('i64.load', GPR_AT + RSP * 8)
    .set(e.oldSp);
  q.load('eflags').i32(~EFLAGS_STATUS).op('i32.and').i32(2).op('i32.or');
  c.get(st).call(q.helpers.flags).op('i32.or');
  c.get(HOW).i32(EFLAGS_RF).op('i32.and').op('i32.or').set(e.flags);
  c.get(VECTOR).i32(PF).op('i32.eq').get(HOW).i32(EVENT_FAULT).op('i32.and').i32(0).op('i32.ne');
  c.op('i32.and').iff();
  q.store('cr2', () => q.load('faultAddress'));
  c.end();
}

/** The error code is the last word pushed: afterwards `frame` is where the others begin. */
function pushError(q: QuickSite, e: Entry, word: number): void {
  const { c } = q;
  c.get(HOW).i32(EVENT_HAS_ERROR).op('i32.and').iff();
  c.get(e.frame).get(ERROR);
  if (word === 8) c.op('i64.extend_i32_u').mem('i64.store', 0);
  else c.mem('i32.store', 0);
  c.get(e.frame).i32(word).op('i32.add').set(e.frame);
  c.end();
}

/** The status flags stay as they are. */
function flagsOnEntry(q: QuickSite, e: Entry): void {
  const { c } = q;
  const cleared = EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM;
  q.store('eflags', () => {
    q.load('eflags');
    c.i32(~cleared).i32(~(cleared | EFLAGS_IF));
    c.get(e.gate).i32(GATE_TRAP).op('i32.and').op('select');
    c.op('i32.and').i32(~EFLAGS_STATUS).op('i32.and').i32(2).op('i32.or');
  });
}
