// Xen PV: a guest that knows Xen beneath it, in ring 3, on page tables of its own that Xen checks.

import { bug } from '../../base/errors.ts';
import { widen } from '../../base/widen.ts';
import type { InstructionExit, PolicyExit } from '../../cpu/border.ts';
import { EFLAGS_TF } from '../../cpu/control-bits.ts';
import { FRAME_MMIO } from '../../cpu/frames.ts';
import { type ExitPolicy, POLICY_SYSCALL } from '../../cpu/policy.ts';
import { FIELDS } from '../../cpu/state.ts';
import { type Attached, defineInterface, type Guest, type Platform } from '../define.ts';
import { callFacts } from '../xen/call-facts.ts';
import { XEN_DEVICES } from '../xen/devices/devices.ts';
import { createDomain } from '../xen/domain.ts';
import { XEN_VERSION } from '../xen/hypercalls/xen-version.ts';
import { XEN_OMITS } from '../xen/operations.ts';
import { periodFired, timerFired, writeTime, writeWallClock } from '../xen/time.ts';
import { createToolstack, type Toolstack } from '../xen/toolstack.ts';
import { wakeUp } from '../xen/upcall.ts';
import { watchdogFired } from '../xen/watchdog.ts';
import { VMASST_TYPE_pae_extended_cr3 } from './abi.ts';
import { bounce } from './bounce.ts';
import { buildDomain, planDomain } from './builder.ts';
import {
  answerSyscall,
  isHypercall,
  isInPlace,
  onHypercall,
  onSyscall,
  PV_CALLS,
  takesSystemCalls,
} from './calls.ts';
import { pvCpuid } from './emulate-cpuid.ts';
import { eventWaits } from './events-mask.ts';
import { bytesInTlb, FRAME_BYTES, placeInRam } from './frame-words.ts';
import { FrameTable, freshFrames, TYPE_WRITABLE } from './frames.ts';
import { grantWays } from './grant-ways.ts';
import { xenPvGuest } from './guest.ts';
import { permuteFrames } from './machine-frames.ts';
import { firstMemoryMap } from './memory-map.ts';
import { XEN_PV_MANIFEST } from './operations.ts';
import { PageTables } from './page-tables.ts';
import { currentVcpu, isGuestAddress, type PvDomain, type PvGuest } from './pv-domain.ts';
import { freshPvVcpu, type PvState } from './pv-state.ts';
import { frameFreed } from './reservation.ts';
import { resumePv } from './resume.ts';
import { onException, onInterruptInstruction, PV_INSTRUCTIONS } from './traps.ts';
import { XenSpace } from './xen-space.ts';

const PAGE = 4096;
const FOUR_GIB = 4294967296;
/** Frames of Xen's own beside the machine-to-physical tables, with entries of 8 and of 4 bytes: shared pages, descriptor tables, grants, event pages. */
const OWN_BYTES = 4 << 20;
/** The first place for devices of a PC, which this machine does not have. */
const HOLE = { first: 0xa0, end: 0xc0 } as const;
/** Longest piece of guest memory that a call reads at once. */
const PIECE = 4096;
/** Words of the vCPU's state. */
const EFLAGS = FIELDS.eflags.at >> 2;
const HALTED = FIELDS.halted.at >> 2;
const NMI_PENDING = FIELDS.nmiPending.at >> 2;
/** SYSCALL, and INT 0x82. */
const CALL_BYTES = 2;

/** Every exception, SYSCALL and INT n. What needs ring 0 raises #GP in rings 1 and 3 by itself. */
const POLICY: ExitPolicy = { exceptions: -1, instructions: PV_INSTRUCTIONS };

export const xenPv = defineInterface({
  id: 'xen-pv',
  title: 'Xen, paravirtualized: no hardware but the processor',
  versions: [`${XEN_VERSION.major}.${XEN_VERSION.minor}`],
  guestNeeds: ['CONFIG_PARAVIRT', 'CONFIG_XEN_PV'],
  // Until then CONFIG_XEN was PV's own (Linux 4.13, arch/x86/xen/Kconfig).
  formerNeeds: { CONFIG_XEN_PV: { name: 'CONFIG_XEN', before: [4, 13] } },
  machines: ['bare'],
  takes: XEN_DEVICES,
  console: 'hvc0',
  ownBytes: (memoryBytes) =>
    OWN_BYTES + (Math.ceil(memoryBytes / 512 / PAGE) + Math.ceil(memoryBytes / 1024 / PAGE)) * PAGE,
  policy: POLICY,
  ops: XEN_PV_MANIFEST,
  omits: XEN_OMITS,
  guest: xenPvGuest,
  calls: callFacts([...PV_CALLS.values()], ['pv64', 'pv32']),
  attach: (platform) => attach(platform),
});

function attach(platform: Platform): Attached {
  const { pv, p2m } = createPv(platform, (frame) => resumePv(pv, toolstack, frame));
  const toolstack = createToolstack(pv.xen);
  return {
    border: {
      cpuid: (leaf, subleaf, out) => pvCpuid(pv.state.narrow, leaf, subleaf, out),
      rdmsr: () => false,
      wrmsr: () => false,
      hypercall: () => false,
      syscall: () => answerInPlace(pv),
    },
    exit(exit) {
      pv.answering = true;
      onExit(pv, exit);
      pv.answering = false;
    },
    enter: () => deliverEvents(pv),
    waiting: () => pv.xen.vcpus[0]!.state.blocked,
    start: (guest) => start(pv, toolstack, guest, p2m),
    noticed: () => pv.xen.state.called,
  };
}

function createPv(
  platform: Platform,
  resume: (startInfo: number) => number,
): { pv: PvDomain; p2m: Uint32Array } {
  const { cpu, ram } = platform;
  for (let frame = HOLE.first; frame < HOLE.end; frame++) cpu.mmu.clearFrame(frame, FRAME_MMIO);
  const total = ram.bytes / PAGE;
  const pages = platform.memoryBytes / PAGE;
  const machine = permuteFrames(total, pages, platform.seed);
  const frames = new FrameTable(freshFrames(total));
  const fresh: PvState = {
    narrow: false,
    assists: 0,
    lastBounce: -1,
    pirqs: [],
    eoiFrame: -1,
    memoryMap: firstMemoryMap(pages),
    pages,
    maxPages: pages,
    free: new Uint32Array(pages),
    freeCount: 0,
    ownFrames: 0,
    reclaimed: [],
    vcpus: [freshPvVcpu()],
  };
  const state = widen(fresh, 'lastBounce', 'eoiFrame');
  const takeFrame = () =>
    machine.xen[state.ownFrames++] ?? bug('Xen has no more frames of its own');
  const space = new XenSpace(platform, takeFrame, total);
  platform.snapshots.addState('xen-pv', state);
  platform.snapshots.addState('xen-pv.frames', frames.state);
  for (const mfn of machine.guest) frames.give(mfn);
  const made: Omit<PvDomain, 'xen'> = {
    platform,
    cpu,
    power: platform.power,
    state,
    frames,
    tables: new PageTables(cpu, frames, space, state),
    space,
    current: 0,
    answering: false,
    words: cpu.views.i32,
    bytes: cpu.views.u8,
    ramBase: cpu.layout.ramBase,
    vcpuWords: cpu.state.words,
    frame: new Int32Array(FRAME_BYTES / 4),
  };
  const pv = made as PvDomain;
  pv.tables.onFree = (mfn) => frameFreed(pv, mfn);
  const ownFrame = () => state.reclaimed.pop() ?? machine.xen[state.ownFrames++] ?? -1;
  const guest = guestOf(pv, ownFrame, resume);
  pv.xen = createDomain({
    platform,
    guest,
    vcpus: 1,
    singleshot: (vcpu) => timerFired(pv.xen, vcpu),
    periodic: (vcpu) => periodFired(pv.xen, vcpu),
    pollEnd: (vcpu) => wakeUp(pv.xen, vcpu),
    watchdog: watchdogFired,
  });
  return { pv, p2m: machine.guest };
}

/** Xen's access to the guest, as the family's calls need it. */
function guestOf(
  pv: PvDomain,
  takeFrame: () => number,
  resume: (startInfo: number) => number,
): PvGuest {
  const { cpu, frames, platform } = pv;
  const { mmu } = cpu;
  const reachable = (gva: number, bytes: number) =>
    isGuestAddress(pv, gva) && isGuestAddress(pv, gva + bytes - 1);
  // A 32-bit guest's kernel has pages that its programs lack, and Xen comes to them whoever runs.
  const as = () => (pv.state.narrow ? 'system' : 'current');
  return {
    pv,
    window: new DataView(cpu.views.u8.buffer),
    peek(gva, bytes) {
      if (pv.state.narrow) return -1;
      const quick = bytesInTlb(pv, gva | 0, Math.floor(gva / FOUR_GIB) | 0, bytes, 0);
      if (quick !== 0) return quick >>> 0;
      return reachable(gva, bytes) ? placeInRam(pv, gva, bytes, false) : -1;
    },
    poke(gva, bytes) {
      if (pv.state.narrow) return -1;
      const place = bytesInTlb(pv, gva | 0, Math.floor(gva / FOUR_GIB) | 0, bytes, 1);
      return place === 0 ? -1 : place >>> 0;
    },
    readVirtual(gva, bytes) {
      const out = new Uint8Array(bytes);
      for (let done = 0; done < bytes; done += PIECE) {
        const size = Math.min(PIECE, bytes - done);
        if (!reachable(gva + done, size) || !mmu.read(gva + done, size, as())) return null;
        out.set(new Uint8Array(mmu.buf.buffer, 0, size), done);
      }
      return out;
    },
    writeVirtual(gva, bytes) {
      for (let done = 0; done < bytes.length; done += PIECE) {
        const part = bytes.subarray(done, done + PIECE);
        if (!reachable(gva + done, part.length)) return false;
        new Uint8Array(mmu.buf.buffer).set(part);
        if (!mmu.write(gva + done, part.length, as())) return false;
      }
      return true;
    },
    frameAddress: (mfn) => (frames.mayBeWritten(mfn) ? mfn * PAGE : -1),
    holdFrame: (mfn) => pv.tables.getFrameAndType(mfn, TYPE_WRITABLE) === 0,
    releaseFrame: (mfn) => pv.tables.putFrameAndType(mfn),
    grantWays: grantWays(pv),
    frameNumber: (address) => address / PAGE,
    upcall() {
      // Told on the way back to the guest, which has to leave the CPU for that if it runs.
      if (!pv.answering) cpu.requestExit();
    },
    rewind() {
      cpu.state.setVa('rip', cpu.state.getVa('rip') - CALL_BYTES);
    },
    block() {
      cpu.state.set('halted', 1);
    },
    wake() {
      cpu.state.set('halted', 0);
      platform.interrupt.set(true);
    },
    hostFrame() {
      const mfn = takeFrame();
      if (mfn < 0) return -1;
      platform.ram.fill(mfn * PAGE, PAGE, 0);
      if (!frames.isGuests(mfn)) frames.share(mfn);
      return mfn * PAGE;
    },
    tablesAbove4gb: () => (pv.state.assists & (1 << VMASST_TYPE_pae_extended_cr3)) !== 0,
    // The guest may have it mapped still: it stays one that both may write.
    reclaim: (address) => void pv.state.reclaimed.push(address / PAGE),
    resume,
  };
}

function start(pv: PvDomain, toolstack: Toolstack, guest: Guest, p2m: Uint32Array): void {
  const { xen } = pv;
  const vcpu = xen.vcpus[0]!;
  const plan = planDomain(guest, p2m);
  pv.state.narrow = plan.narrow;
  xen.state.wideShared = !plan.narrow;
  pv.space.putDescriptors(plan.narrow);
  xen.state.sharedInfo = xen.guest.hostFrame();
  vcpu.state.info = xen.state.sharedInfo;
  vcpu.state.up = true;
  vcpu.state.initialised = true;
  // Events are masked until the kernel says otherwise (xen.h, start-of-day).
  pv.platform.ram.setU8(vcpu.state.info + 1, 1);
  const pages = { store: plan.storeMfn * PAGE, console: plan.consoleMfn * PAGE };
  buildDomain(pv, plan, p2m, toolstack.begin(pages));
  writeWallClock(xen);
  writeTime(xen, vcpu);
}

function onExit(pv: PvDomain, exit: PolicyExit): void {
  switch (exit.kind) {
    case 'exception':
      return onException(pv, exit);
    case 'instruction':
      return exit.policy === POLICY_SYSCALL ? onSyscall(pv, exit) : onInterrupt(pv, exit);
    case 'interrupt':
      // It has ended a halt; events are looked at on the way back.
      pv.platform.interrupt.set(false);
  }
}

function onInterrupt(pv: PvDomain, exit: InstructionExit): void {
  if (isHypercall(pv)) onHypercall(pv, exit);
  else onInterruptInstruction(pv, exit);
}

/** All that a SYSCALL leads to, up to the guest's next instruction. */
function answerInPlace(pv: PvDomain): boolean {
  const { cpu, vcpuWords } = pv;
  if (pv.state.narrow || vcpuWords[EFLAGS]! & EFLAGS_TF) return false;
  const inKernel = currentVcpu(pv).kernelMode;
  if (!(inKernel ? isInPlace(vcpuWords) : takesSystemCalls(pv))) return false;
  pv.answering = true;
  cpu.countRunning(true);
  answerSyscall(pv, inKernel);
  pv.answering = false;
  deliverEvents(pv);
  cpu.countRunning(false);
  // What the loop around the engines has to see: a halt, single steps, an NMI.
  if (vcpuWords[HALTED] || vcpuWords[EFLAGS]! & EFLAGS_TF || vcpuWords[NMI_PENDING])
    cpu.requestExit();
  return true;
}

/** On every way back to the guest: an event that is pending and not masked enters the guest's handler. */
function deliverEvents(pv: PvDomain): void {
  if (!eventWaits(pv) || pv.vcpuWords[HALTED]) return;
  bounce(pv, currentVcpu(pv).event, null, true);
}
