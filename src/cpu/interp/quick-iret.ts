// IRETQ in WebAssembly, as kernels use it: slow/iret.ts says what it means.

import {
  CR4_SMAP,
  EFLAGS_AC,
  EFLAGS_DF,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
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
  FS,
  GS,
  SS_REG,
  TYPE_ACCESSED,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_RW,
} from '../descriptors.ts';
import { POLICY_IRET } from '../policy.ts';
import {
  ATTR_D,
  ATTR_DPL_SHIFT,
  ATTR_L,
  ATTR_NULL,
  ATTR_P,
  ATTR_S,
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  FIELDS,
  GPR_AT,
  SEG_AT,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from '../state.ts';
import { Code } from '../wasm/encode.ts';
import type { QuickSite } from './quick-site.ts';
import { R_OSIZE } from './records.ts';

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

const RSP = 4;
const DATA_TLB_BYTES = DATA_TLB_ENTRIES * DATA_TLB_STRIDE;

/**
 * IRETQ from ring 0 to 64-bit code of ring 0 or 3, from a frame and through descriptors that the TLB maps and that need
 * no accessed flag. Where anything is to be refused, or waits, nothing is done here. SDM 2A IRET.
 */
export function iret(q: QuickSite): void {
  const { c, st, t, v } = q;
  const [frame, code, stack, rpl] = [c.take('i32'), c.take('i32'), c.take('i32'), c.take('i32')];
  q.load('codeMode').i32(64).op('i32.ne').brIf(q.decline);
  q.load('rec').mem('i32.load8_u', R_OSIZE).i32(64).op('i32.ne').brIf(q.decline);
  q.unlessExits(POLICY_IRET);
  q.unlessWaiting();
  q.load('cpl').brIf(q.decline);
  q.load('eflags').i32(EFLAGS_NT).op('i32.and').brIf(q.decline);
  c.get(st)
    .mem('i64.load', GPR_AT + RSP * 8)
    .i32(FRAME_BYTES);
  q.load('dataTlb').call(q.helpers.hit).tee(frame).op('i32.eqz').brIf(q.decline);
  // RIP and RSP canonical, nothing above the words of the others.
  for (const at of [FRAME_RIP, FRAME_RSP]) {
    c.get(frame).mem('i64.load', at).tee(v);
    c.get(v).i64(16n).op('i64.shl').i64(16n).op('i64.shr_s').op('i64.ne').brIf(q.decline);
  }
  c.get(frame)
    .mem('i32.load', FRAME_CS + 4)
    .get(frame)
    .mem('i32.load', FRAME_SS + 4);
  c.op('i32.or')
    .get(frame)
    .mem('i32.load', FRAME_FLAGS + 4)
    .op('i32.or')
    .brIf(q.decline);
  c.get(frame).mem('i32.load', FRAME_CS).i32(3).op('i32.and').set(rpl);
  frameFlags(q, frame, EFLAGS_TF).brIf(q.decline);
  descriptor(q, frame, FRAME_CS, code, CODE64_FIXED, CODE64_VALUE, rpl);
  stackOfFrame(q, frame, stack, rpl);
  c.get(rpl).iff();
  c.get(rpl).i32(3).op('i32.ne').brIf(q.decline);
  frameFlags(q, frame, EFLAGS_AC).brIf(q.decline);
  unlessInnerSegments(q);
  c.end();
  frameFlags(q, frame, IRET_FLAGS).get(st).mem('i32.load', FIELDS.eflags.at);
  c.i32(~IRET_FLAGS).op('i32.and').op('i32.or').set(t);
  frameFlags(q, frame, EFLAGS_RF).iff();
  q.store('rfAt', () => {
    q.pushRetired();
    c.i64(2n).op('i64.add');
  });
  c.end();
  q.setFlags();
  q.store('rip', () => c.get(frame).mem('i64.load', FRAME_RIP));
  q.setGpr(RSP, () => c.get(frame).mem('i64.load', FRAME_RSP));
  c.get(st)
    .i32(SEG_AT + CS * SEG_STRIDE)
    .op('i32.add');
  c.get(frame).mem('i32.load', FRAME_CS).get(code).call(q.helpers.loadSegment);
  loadStack(q, frame, stack);
  q.store('nmiMasked', () => c.i32(0));
  q.store('cpl', () => c.get(rpl));
  q.useSupervisorTlb();
  q.store('fetchTlb', () => c.i32(q.places.fetchTlbs));
  c.get(rpl).iff();
  q.useUserTlbs();
  c.end();
}

function frameFlags(q: QuickSite, frame: number, mask: number): Code {
  return q.c.get(frame).mem('i32.load', FRAME_FLAGS).i32(mask).op('i32.and');
}

/**
 * Into `to` the address of the GDT entry of the frame's selector at `at`, whose attributes under `fixed` must be `value`
 * with DPL = `rpl`, as must the selector's RPL.
 */
function descriptor(
  q: QuickSite,
  frame: number,
  at: number,
  to: number,
  fixed: number,
  value: number,
  rpl: number,
): void {
  const { c, t } = q;
  c.get(frame).mem('i32.load', at).i32(0xffff).op('i32.and').set(t);
  c.get(t).i32(7).op('i32.and').get(rpl).op('i32.ne').brIf(q.decline);
  c.get(t).i32(0xfff8).op('i32.and').tee(t).op('i32.eqz').brIf(q.decline);
  c.get(t).i32(7).op('i32.add');
  q.load('gdtrLimit').op('i32.gt_u').brIf(q.decline);
  q.load('gdtrBase').get(t).op('i64.extend_i32_u').op('i64.add').i32(8);
  // A supervisor access, which SMAP watches whatever AC says.
  c.i32(q.places.dataTlbs).i32(q.places.dataTlbs + DATA_TLB_BYTES);
  q.load('cr4').i32(CR4_SMAP).op('i32.and').op('select');
  c.call(q.helpers.hit).tee(to).op('i32.eqz').brIf(q.decline);
  c.get(to).mem('i32.load', 4).i32(8).op('i32.shr_u').i32(fixed).op('i32.and');
  c.get(rpl).i32(ATTR_DPL_SHIFT).op('i32.shl').i32(value).op('i32.or').op('i32.ne');
  c.brIf(q.decline);
}

/** `to`: the descriptor of the frame's SS, or 0 for a null one, which inner rings may have. */
function stackOfFrame(q: QuickSite, frame: number, to: number, rpl: number): void {
  const { c } = q;
  c.i32(0).set(to);
  c.get(frame).mem('i32.load', FRAME_SS).i32(0xffff).op('i32.and').get(rpl).op('i32.or').iff();
  descriptor(q, frame, FRAME_SS, to, STACK_FIXED, STACK_VALUE, rpl);
  c.end();
}

function loadStack(q: QuickSite, frame: number, stack: number): void {
  const { c, st } = q;
  const at = SEG_AT + SS_REG * SEG_STRIDE;
  c.get(stack).iff();
  c.get(st).i32(at).op('i32.add').get(frame).mem('i32.load', FRAME_SS);
  c.get(stack).call(q.helpers.loadSegment);
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

/** `(address of the segment register, selector, address of the descriptor)`, see descriptors.ts `setSegment`. */
export function loadSegmentFunction(): Code {
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
