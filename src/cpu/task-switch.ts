// Hardware task switching: the old task's registers into its TSS, the new one's out of its own. SDM 3A 7.3.

import {
  CR0_PG,
  CR0_TS,
  EFER_LMA,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_VM,
  GP,
  NP,
  SS,
  TS,
} from './control-bits.ts';
import { DR6_BT, DR7_LOCAL, pendDebug, resumeNext } from './debug.ts';
import {
  attrOf,
  baseOf,
  CS,
  type Descriptor,
  DS,
  dplOf,
  ES,
  FS,
  GS,
  isCode,
  isNull,
  isSystem,
  isWritableData,
  LDTR,
  limitOf,
  markAccessed,
  readDescriptor,
  SS_REG,
  SYS_LDT,
  SYS_TASK_GATE,
  SYS_TSS16,
  selectorFault,
  setNullSegment,
  setRealSegment,
  setSegment,
  setSegmentTo,
  TR,
  TYPE_CONFORMING,
  TYPE_RW,
} from './descriptors.ts';
import { readFlags, writeFlags } from './flags.ts';
import type { Cx } from './slow/define.ts';
import { currentStack, pushWords, setStackPointer } from './stack.ts';
import { ATTR_P, FIELDS, SEG_LIMIT, SEG_SELECTOR, type State } from './state.ts';
import {
  linkedTask,
  readImage,
  saveTask,
  type TaskImage,
  tssIs32,
  WHOLE16,
  WHOLE32,
  writeLink,
} from './task-image.ts';

/** What switches: a jump or a return leaves the old task for good, a call or an event comes back to it. */
export type SwitchBy = 'jump' | 'call' | 'event' | 'return';

const TYPE = 0xf;
const BUSY = 2;

/** An event through a task gate: EXT of its error codes, the error code that the new task finds on its stack, flags to save. */
export interface TaskEvent {
  readonly ext: 0 | 1;
  readonly error: number | null;
  readonly flags: number;
}

/** Task gates and TSSs that far jumps and calls can go to; IA-32e mode has none. */
export function leadsToTask(cx: Cx, d: Descriptor): boolean {
  const attr = attrOf(d);
  if (!isSystem(attr) || (cx.state.get(FIELDS.efer) & EFER_LMA) !== 0) return false;
  const type = attr & TYPE;
  return type === SYS_TASK_GATE || (type & ~(BUSY | 8)) === SYS_TSS16;
}

/** A far jump or call to a TSS or a task gate: `leadsToTask` has said so. SDM 2A JMP, CALL. */
export function farToTask(cx: Cx, selector: number, d: Descriptor, by: 'jump' | 'call'): 0 | 1 {
  const attr = attrOf(d);
  const outer = Math.max(cx.state.get(FIELDS.cpl), selector & 3);
  if (dplOf(attr) < outer) return selectorFault(cx, GP, selector);
  if ((attr & TYPE) === SYS_TASK_GATE) {
    if ((attr & ATTR_P) === 0) return selectorFault(cx, NP, selector);
    return throughTaskGate(cx, d.lo >>> 16, by, noEvent(cx));
  }
  return toTask(cx, selector, d, by, noEvent(cx));
}

function noEvent({ state }: Cx): TaskEvent {
  return { ext: 0, error: null, flags: readFlags(state) };
}

/** Gates name a TSS in the GDT. The gate itself has been checked. SDM 2A INT n, "TASK-GATE". */
export function throughTaskGate(cx: Cx, tss: number, by: SwitchBy, event: TaskEvent): 0 | 1 {
  if (tss & 4) return selectorFault(cx, GP, tss, event.ext);
  const d = readDescriptor(cx, tss, GP, event.ext);
  if (d === null) return 1;
  const attr = attrOf(d);
  if (!isSystem(attr) || (attr & TYPE & ~(BUSY | 8)) !== SYS_TSS16)
    return selectorFault(cx, GP, tss, event.ext);
  return toTask(cx, tss, d, by, event);
}

function toTask(cx: Cx, tss: number, d: Descriptor, by: SwitchBy, event: TaskEvent): 0 | 1 {
  const attr = attrOf(d);
  if (tss & 4 || attr & BUSY) return selectorFault(cx, GP, tss, event.ext);
  if ((attr & ATTR_P) === 0) return selectorFault(cx, NP, tss, event.ext);
  return switchTask(cx, tss, d, by, event);
}

/** IRET with NT: back to the task that the current TSS links to. SDM 2A IRET, "TASK-RETURN". */
export function returnToTask(cx: Cx): 0 | 1 {
  const link = linkedTask(cx);
  if (link === null) return 1;
  if (link & 4) return selectorFault(cx, TS, link);
  const d = readDescriptor(cx, link, TS);
  if (d === null) return 1;
  const attr = attrOf(d);
  const busyTask = isSystem(attr) && (attr & TYPE & ~8) === (SYS_TSS16 | BUSY);
  if (!busyTask) return selectorFault(cx, TS, link);
  if ((attr & ATTR_P) === 0) return selectorFault(cx, NP, link);
  const event = noEvent(cx);
  return switchTask(cx, link, d, 'return', { ...event, flags: event.flags & ~EFLAGS_NT });
}

/**
 * 1: a fault is raised in the old task, nothing has changed. 0: the new task runs. What faults while its registers are
 * loaded does so in the new task, before its first instruction: that fault waits in `laterVector`.
 */
function switchTask(
  cx: Cx,
  selector: number,
  d: Descriptor,
  by: SwitchBy,
  event: TaskEvent,
): 0 | 1 {
  const { state } = cx;
  const wide = (attrOf(d) & 8) !== 0;
  if (limitOf(d) < (wide ? WHOLE32 : WHOLE16) - 1)
    return selectorFault(cx, TS, selector, event.ext);
  const oldWhole = tssIs32(state) ? WHOLE32 : WHOLE16;
  const old = state.seg(TR, SEG_SELECTOR);
  if (state.seg(TR, SEG_LIMIT) < oldWhole - 1) return selectorFault(cx, TS, old, event.ext);
  const leaves = by === 'jump' || by === 'return';
  const oldEntry = leaves ? readDescriptor(cx, old, TS, event.ext) : null;
  if (leaves && oldEntry === null) return 1;
  const image = readImage(cx, baseOf(d), wide);
  if (image === null || !reachable(cx, d, oldEntry, by)) return 1;
  saveTask(cx, event.flags);
  if (oldEntry) setBusy(cx, oldEntry, false);
  const nested = by === 'call' || by === 'event';
  if (nested) writeLink(cx, baseOf(d), old);
  if (by !== 'return') setBusy(cx, d, true);
  setSegmentTo(state, TR, selector, baseOf(d), limitOf(d), attrOf(d) | BUSY);
  begin(cx, image, nested);
  if (loadTask(cx, image, wide, event) === 1) postpone(state);
  state.set(FIELDS.attention, 1);
  cx.checkInterrupts();
  return 0;
}

/** Every byte that the switch writes can be written: SDM 3A 7.3 step 6 asks for that before anything changes. */
function reachable(cx: Cx, d: Descriptor, old: Descriptor | null, by: SwitchBy): boolean {
  const { state, mmu } = cx;
  const at = state.segBase(TR);
  const saved = tssIs32(state) ? [0x20, 0x40] : [0x0e, 0x1c];
  if (!mmu.probe((at + (saved[0] as number)) >>> 0, saved[1] as number, 'system')) return false;
  if (old && !mmu.probe(old.at + 5, 1, 'system')) return false;
  if (by !== 'return' && !mmu.probe(d.at + 5, 1, 'system')) return false;
  return by === 'jump' || by === 'return' || mmu.probe(baseOf(d), 2, 'system');
}

function setBusy(cx: Cx, d: Descriptor, busy: boolean): void {
  const access = (d.hi >>> 8) & 0xff;
  cx.mmu.buf.setUint8(0, busy ? access | BUSY : access & ~BUSY);
  cx.mmu.write(d.at + 5, 1, 'system');
}

/** What cannot fault: control registers, flags, general registers, and the selectors without their descriptors. */
function begin(cx: Cx, image: TaskImage, nested: boolean): void {
  const { state } = cx;
  state.set(FIELDS.cr0, state.get(FIELDS.cr0) | CR0_TS);
  state.set(FIELDS.dr7, state.get(FIELDS.dr7) & ~DR7_LOCAL);
  cx.mmu.breakpointsChanged();
  if (image.cr3 !== null && state.get(FIELDS.cr0) & CR0_PG) {
    state.set64('cr3', BigInt(image.cr3));
    cx.mmu.flushNonGlobal();
  }
  const flags = nested ? image.flags | EFLAGS_NT : image.flags;
  writeFlags(state, flags & ~EFLAGS_RF, -1);
  if (flags & EFLAGS_RF) resumeNext(state, cx.retired());
  state.setVa(FIELDS.rip, image.eip);
  image.registers.forEach((value, n) => {
    state.setGpr32(n, value);
  });
  image.selectors.forEach((selector, n) => {
    if (selector !== null) setNullSegment(state, n, selector);
  });
  setNullSegment(state, LDTR, image.ldt);
  // Until CS and SS are loaded a fault must find its stack in the TSS.
  state.set(FIELDS.cpl, 3);
  cx.modeChanged();
}

function loadTask(cx: Cx, image: TaskImage, wide: boolean, event: TaskEvent): 0 | 1 {
  const { state } = cx;
  const { ext } = event;
  if (image.trap) pendDebug(state, DR6_BT);
  if (loadLdt(cx, image.ldt, ext)) return 1;
  if (image.flags & EFLAGS_VM) {
    for (const n of [ES, CS, SS_REG, DS, FS, GS]) setRealSegment(state, n, image.selectors[n] ?? 0);
  } else if (loadProtected(cx, image, ext)) return 1;
  cx.modeChanged();
  if (event.error !== null && !pushError(cx, event.error, wide, ext)) return 1;
  return image.eip > state.seg(CS, SEG_LIMIT) ? state.raise(GP, ext) : 0;
}

function loadLdt(cx: Cx, selector: number, ext: number): 0 | 1 {
  if (isNull(selector)) return 0;
  if (selector & 4) return selectorFault(cx, TS, selector, ext);
  const d = readDescriptor(cx, selector, TS, ext);
  if (d === null) return 1;
  const attr = attrOf(d);
  if (!isSystem(attr) || (attr & TYPE) !== SYS_LDT || (attr & ATTR_P) === 0)
    return selectorFault(cx, TS, selector, ext);
  setSegmentTo(cx.state, LDTR, selector, baseOf(d), limitOf(d), attr);
  return 0;
}

/**
 * Code, stack and data segments, with the checks of SDM 3A table 7-1 in its order: the privilege of CS, SS, the rest of CS.
 * With SS the new task has a stack: what faults from then on does so at its own CPL, the RPL of CS.
 */
function loadProtected(cx: Cx, image: TaskImage, ext: number): 0 | 1 {
  const cs = image.selectors[CS] ?? 0;
  const cpl = cs & 3;
  const privileged = mayRunAt(cx, cs);
  if (loadStack(cx, image.selectors[SS_REG] ?? 0, cpl, ext) === 0) cx.state.set(FIELDS.cpl, cpl);
  else if (privileged) return 1;
  if (!privileged) return selectorFault(cx, TS, cs, ext);
  const code = taskCode(cx, cs, ext);
  if (code === null || !markAccessed(cx, code)) return 1;
  setSegment(cx.state, CS, cs, code);
  cx.modeChanged();
  for (const n of [ES, DS, FS, GS]) {
    const selector = image.selectors[n] ?? 0;
    if (!isNull(selector) && loadData(cx, n, selector, cpl, ext)) return 1;
  }
  return 0;
}

/** False: it is code, and its DPL forbids to run it at its selector's RPL. */
function mayRunAt(cx: Cx, selector: number): boolean {
  if (isNull(selector)) return true;
  const d = readDescriptor(cx, selector, TS);
  if (d === null) return true; // What is wrong with it is said later.
  const attr = attrOf(d);
  const rpl = selector & 3;
  if (!isCode(attr)) return true;
  return attr & TYPE_CONFORMING ? dplOf(attr) <= rpl : dplOf(attr) === rpl;
}

function taskCode(cx: Cx, selector: number, ext: number): Descriptor | null {
  const failed = (vector: number): null => {
    selectorFault(cx, vector, selector, ext);
    return null;
  };
  if (isNull(selector)) return failed(TS);
  const d = readDescriptor(cx, selector, TS, ext);
  if (d === null) return null;
  const attr = attrOf(d);
  if (!isCode(attr)) return failed(TS);
  return attr & ATTR_P ? d : failed(NP);
}

function loadStack(cx: Cx, selector: number, cpl: number, ext: number): 0 | 1 {
  if (isNull(selector)) return selectorFault(cx, TS, selector, ext);
  const d = readDescriptor(cx, selector, TS, ext);
  if (d === null) return 1;
  const attr = attrOf(d);
  if (!isWritableData(attr) || dplOf(attr) !== cpl || (selector & 3) !== cpl)
    return selectorFault(cx, TS, selector, ext);
  if ((attr & ATTR_P) === 0) return selectorFault(cx, SS, selector, ext);
  if (!markAccessed(cx, d)) return 1;
  setSegment(cx.state, SS_REG, selector, d);
  return 0;
}

function loadData(cx: Cx, n: number, selector: number, cpl: number, ext: number): 0 | 1 {
  const d = readDescriptor(cx, selector, TS, ext);
  if (d === null) return 1;
  const attr = attrOf(d);
  const readable = !isSystem(attr) && (!isCode(attr) || (attr & TYPE_RW) !== 0);
  const conforming = isCode(attr) && (attr & TYPE_CONFORMING) !== 0;
  if (!readable || (!conforming && dplOf(attr) < Math.max(cpl, selector & 3)))
    return selectorFault(cx, TS, selector, ext);
  if ((attr & ATTR_P) === 0) return selectorFault(cx, NP, selector, ext);
  if (!markAccessed(cx, d)) return 1;
  setSegment(cx.state, n, selector, d);
  return 0;
}

/** The error code has the size of the new TSS. */
function pushError(cx: Cx, error: number, wide: boolean, ext: number): boolean {
  const stack = currentStack(cx.state);
  const bytes = wide ? 4 : 2;
  const as = cx.state.get(FIELDS.cpl) === 3 ? 'current' : 'system';
  const sp = pushWords(cx, stack, bytes, [error], as, ext);
  if (sp === null) return false;
  setStackPointer(cx.state, sp, stack.width);
  return true;
}

/** The fault is raised; it is delivered at the boundary before the new task's first instruction. */
function postpone(state: State): void {
  state.set(FIELDS.laterVector, state.get(FIELDS.faultVector) + 1);
  state.set(FIELDS.laterError, state.get(FIELDS.faultError));
  state.set(FIELDS.laterHasError, state.get(FIELDS.faultHasError));
}
