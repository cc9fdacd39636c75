// IRET in WebAssembly, as 64-bit and flat 32-bit kernels use it: slow/iret.ts says what it means.

import {
  CR0_PE,
  EFER_LMA,
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
  EFLAGS_VM,
} from '../control-bits.ts';
import { CS, DPL3, DS, ES, FS, GS, SS_REG } from '../descriptors.ts';
import { POLICY_IRET } from '../policy.ts';
import {
  ATTR_NULL,
  FIELDS,
  GPR_AT,
  MODE_KEY_FLAT,
  SEG_AT,
  SEG_ATTR,
  SEG_STRIDE,
} from '../state.ts';
import {
  CODE32,
  CODE64,
  descriptor,
  loadNullStack,
  loadSegment,
  STACK32,
  STACK64,
} from './quick-segments.ts';
import type { QuickSite } from './quick-site.ts';
import { R_OSIZE } from './records.ts';

/** The frame of IRETQ. SDM 3A 6.14.3. */
const FRAME_RIP = 0;
const FRAME_CS = 8;
const FRAME_FLAGS = 16;
const FRAME_RSP = 24;
const FRAME_SS = 32;
const FRAME_BYTES = 40;
/** That of IRETD; to an outer ring it has the last two words too. SDM 3A 6.12.1. */
const FRAME32_EIP = 0;
const FRAME32_CS = 4;
const FRAME32_FLAGS = 8;
const FRAME32_ESP = 12;
const FRAME32_SS = 16;
const FRAME32_BYTES = 12;
const FRAME32_OUTER_BYTES = 20;
/** Flags that it pops anywhere, but RF, which is kept as a count; and more at CPL 0. */
const IRET_FLAGS = EFLAGS_STATUS | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID;
const IRET_FLAGS0 = EFLAGS_IF | EFLAGS_IOPL | EFLAGS_VIF | EFLAGS_VIP;
const RSP = 4;

/** Where things are while an IRET is emitted. */
interface Return {
  readonly frame: number;
  /** Selector and descriptor of the code segment, and of the stack segment: 0 is a null one. */
  readonly cs: number;
  readonly code: number;
  readonly ss: number;
  readonly stack: number;
  readonly rpl: number;
  readonly flags: number;
}

/**
 * To the same ring or to ring 3, from a frame and through descriptors that the TLB maps and that need no
 * accessed flag. Where anything is to be refused nothing is done here. SDM 2A IRET.
 */
export function iret(q: QuickSite): void {
  const { c } = q;
  const take = () => c.take('i32');
  const r: Return = {
    frame: take(),
    cs: take(),
    code: take(),
    ss: take(),
    stack: take(),
    rpl: take(),
    flags: take(),
  };
  q.unlessExits(POLICY_IRET);
  q.only(() => q.load('eflags'), EFLAGS_NT | EFLAGS_VM, 0);
  q.load('rec')
    .mem('i32.load8_u', R_OSIZE)
    .get(q.st)
    .mem('i32.load', FIELDS.codeMode.at)
    .op('i32.ne')
    .brIf(q.decline);
  q.load('codeMode').i32(64).op('i32.eq').iff();
  iretq(q, r);
  c.else();
  iretd(q, r);
  c.end();
}

/** From ring 0 to 64-bit code, or in ring 3, where kernels of xen-pv run. */
function iretq(q: QuickSite, r: Return): void {
  const { c, st, v } = q;
  q.load('cpl').i32(3).op('i32.rem_u').brIf(q.decline);
  c.get(st)
    .mem('i64.load', GPR_AT + RSP * 8)
    .i32(FRAME_BYTES);
  q.load('dataTlb').call(q.helpers.hit).tee(r.frame).op('i32.eqz').brIf(q.decline);
  // RIP and RSP canonical, nothing above the words of the others.
  for (const at of [FRAME_RIP, FRAME_RSP]) {
    c.get(r.frame).mem('i64.load', at).tee(v);
    c.get(v).i64(16n).op('i64.shl').i64(16n).op('i64.shr_s').op('i64.ne').brIf(q.decline);
  }
  c.get(r.frame)
    .mem('i32.load', FRAME_CS + 4)
    .get(r.frame)
    .mem('i32.load', FRAME_SS + 4);
  c.op('i32.or')
    .get(r.frame)
    .mem('i32.load', FRAME_FLAGS + 4)
    .op('i32.or')
    .brIf(q.decline);
  readFrame(q, r, FRAME_CS, FRAME_FLAGS);
  c.get(r.rpl);
  q.load('cpl').op('i32.lt_u').brIf(q.decline);
  descriptor(q, r.cs, r.code, CODE64, () => c.get(r.rpl));
  c.get(r.frame).mem('i32.load16_u', FRAME_SS).set(r.ss);
  c.i32(0).set(r.stack);
  // Inner rings may have a null one.
  c.get(r.ss).get(r.rpl).op('i32.or').iff();
  sameRpl(q, r);
  descriptor(q, r.ss, r.stack, STACK64, () => c.get(r.rpl));
  c.end();
  c.get(r.rpl).iff();
  q.only(() => c.get(r.rpl), -1, 3);
  q.only(() => c.get(r.flags), EFLAGS_AC, 0);
  q.load('cpl').op('i32.eqz').iff();
  unlessInnerSegments(q);
  c.end();
  c.end();
  q.store('rip', () => c.get(r.frame).mem('i64.load', FRAME_RIP));
  q.setGpr(RSP, () => c.get(r.frame).mem('i64.load', FRAME_RSP));
  c.get(r.stack).iff();
  loadSegment(q, SS_REG, r.ss, r.stack);
  c.else();
  loadNullStack(q);
  c.end();
  finish(q, r);
}

/** Between flat segments, so that the mode key stays as it is. */
function iretd(q: QuickSite, r: Return): void {
  const { c, st } = q;
  q.load('cpl').i32(3).op('i32.eq').brIf(q.decline);
  q.only(() => q.load('cr0'), CR0_PE, CR0_PE);
  q.only(() => q.load('efer'), EFER_LMA, 0);
  q.only(() => q.load('modeKey'), -1, 32 | MODE_KEY_FLAT);
  const frameAt = (bytes: number) => {
    c.get(st)
      .mem('i64.load32_u', GPR_AT + RSP * 8)
      .i32(bytes);
    q.load('dataTlb').call(q.helpers.hit).tee(r.frame).op('i32.eqz').brIf(q.decline);
  };
  frameAt(FRAME32_BYTES);
  readFrame(q, r, FRAME32_CS, FRAME32_FLAGS);
  q.only(() => c.get(r.flags), EFLAGS_VM, 0);
  descriptor(q, r.cs, r.code, CODE32, () => c.get(r.rpl));
  c.get(r.rpl);
  q.load('cpl').op('i32.ne').iff();
  frameAt(FRAME32_OUTER_BYTES);
  c.get(r.frame).mem('i32.load16_u', FRAME32_SS).set(r.ss);
  sameRpl(q, r);
  descriptor(q, r.ss, r.stack, STACK32, () => c.get(r.rpl));
  unlessOuterRefuses(q, r);
  loadSegment(q, SS_REG, r.ss, r.stack);
  q.setGpr(RSP, () => c.get(r.frame).mem('i64.load32_u', FRAME32_ESP));
  c.else();
  q.setGpr(RSP, () => {
    q.gpr32(RSP).i32(FRAME32_BYTES).op('i32.add').op('i64.extend_i32_u');
  });
  c.end();
  q.store('rip', () => c.get(r.frame).mem('i64.load32_u', FRAME32_EIP));
  finish(q, r);
}

function readFrame(q: QuickSite, r: Return, csAt: number, flagsAt: number): void {
  const { c } = q;
  c.get(r.frame).mem('i32.load16_u', csAt).tee(r.cs).i32(3).op('i32.and').set(r.rpl);
  c.get(r.frame).mem('i32.load', flagsAt).set(r.flags);
  q.only(() => c.get(r.flags), EFLAGS_TF, 0);
}

function sameRpl(q: QuickSite, r: Return): void {
  q.c.get(r.ss).i32(3).op('i32.and').get(r.rpl).op('i32.ne').brIf(q.decline);
}

function unlessOuterRefuses(q: QuickSite, r: Return): void {
  q.only(() => q.c.get(r.rpl), -1, 3);
  q.only(() => q.c.get(r.flags), EFLAGS_AC, 0);
  unlessInnerSegments(q);
}

/** Nothing can be refused any more: all but RIP, RSP and SS. */
function finish(q: QuickSite, r: Return): void {
  const { c, st, t } = q;
  const mask = r.frame; // Nothing is read from the frame any more.
  pushPopped(q);
  c.tee(mask).get(r.flags).op('i32.and').get(st).mem('i32.load', FIELDS.eflags.at);
  c.i32(-1).get(mask).op('i32.xor').op('i32.and').op('i32.or').set(t);
  c.get(r.flags).i32(EFLAGS_RF).op('i32.and').iff();
  q.store('rfAt', () => {
    q.pushRetired();
    c.i64(2n).op('i64.add');
  });
  c.end();
  q.setFlags();
  loadSegment(q, CS, r.cs, r.code);
  q.store('nmiMasked', () => c.i32(0));
  q.store('cpl', () => c.get(r.rpl));
  q.useSupervisorTlb();
  q.store('fetchTlb', () => c.i32(q.places.fetchTlbs));
  c.get(r.rpl).i32(3).op('i32.eq').iff();
  q.useUserTlbs();
  c.end();
  q.checkInterrupts();
}

/** Leaves the flags that are popped at this CPL and IOPL. */
function pushPopped(q: QuickSite): void {
  const { c } = q;
  c.i32(IRET_FLAGS | IRET_FLAGS0);
  c.i32(IRET_FLAGS | EFLAGS_IF).i32(IRET_FLAGS);
  q.load('cpl');
  q.load('eflags').i32(EFLAGS_IOPL_SHIFT).op('i32.shr_u').i32(3).op('i32.and');
  c.op('i32.le_u').op('select');
  q.load('cpl').op('i32.eqz').op('select');
}

/** An outer ring would lose such segments. */
function unlessInnerSegments(q: QuickSite): void {
  const { c, st, t } = q;
  for (const n of [ES, DS, FS, GS]) {
    c.get(st)
      .mem('i32.load', SEG_AT + n * SEG_STRIDE + SEG_ATTR)
      .tee(t);
    c.i32(ATTR_NULL).op('i32.and').op('i32.eqz');
    c.get(t).i32(DPL3).op('i32.and').i32(DPL3).op('i32.ne').op('i32.and').brIf(q.decline);
  }
}
