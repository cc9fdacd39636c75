// lguest: the guest's kernel in ring 1 of one processor, on page tables that the host shadows, with virtio devices of its own.

import { FRAME_MMIO } from '../../cpu/frames.ts';
import { type ExitPolicy, POLICY_INT, POLICY_INTERRUPTS } from '../../cpu/policy.ts';
import { ramListener } from '../../cpu/ram-written.ts';
import { FIELDS } from '../../cpu/state.ts';
import { NEVER } from '../../machine/clock.ts';
import { GuestRam } from '../../machine/memory.ts';
import { type Attached, defineInterface, type Platform } from '../define.ts';
import { LGUEST_CALLS } from './calls.ts';
import { lguestCpuid } from './cpuid.ts';
import { Descriptors } from './descriptors.ts';
import { DEVICE_BYTES, DevicePage } from './device-page.ts';
import { createDevices, DISKS_MAX, NICS_MAX } from './devices.ts';
import { lguestGuest } from './guest.ts';
import { freshHostState, hex, killGuest, type LguestHost } from './host.ts';
import { deliverInterrupt, raiseLine, TIMER_LINE } from './interrupts.ts';
import { launch } from './launch.ts';
import { LGUEST_MANIFEST } from './operations.ts';
import { freshShadowState, ROOTS, Shadow } from './shadow.ts';
import { gdtFrame, SWITCHER_FRAMES, switcherTable, writeSwitcher } from './switcher.ts';
import { onExit, onVmcall } from './traps.ts';
import { LGUEST_VERSIONS } from './versions.ts';

const PAGE = 4096;
/** Frames for shadow tables: four address spaces with all tables of the lowest level that two levels can have. */
const SHADOW_FRAMES = ROOTS * 1024 + 64;
/** Instructions after which a guest is looked at again that holds an interrupt back: no call tells when it no longer does. */
const LOOK_NANOS = 10_000;
/** One NOTIFY prints at most this much. */
const TEXT_MAX = 4096;

/** Every exception and INT n. What needs ring 0 raises #GP by itself. */
const POLICY: ExitPolicy = { exceptions: -1, instructions: POLICY_INT | POLICY_INTERRUPTS };

export const lguest = defineInterface({
  id: 'lguest',
  title: 'lguest: 32-bit guests in ring 1, shadow page tables, virtio',
  versions: LGUEST_VERSIONS,
  guestNeeds: ['CONFIG_PARAVIRT', 'CONFIG_LGUEST_GUEST'],
  machines: ['bare'],
  console: 'hvc0',
  takes: {
    disks: DISKS_MAX,
    nics: NICS_MAX,
    diskDrivers: ['virtio_blk'],
    nicDrivers: ['virtio_net'],
  },
  ownBytes: () => DEVICE_BYTES + (SHADOW_FRAMES + SWITCHER_FRAMES) * PAGE,
  policy: POLICY,
  ops: LGUEST_MANIFEST,
  omits: { kinds: ['hypercall'], features: [] },
  guest: lguestGuest,
  calls: [...LGUEST_CALLS.values()]
    .toSorted((a, b) => a.number - b.number)
    .map(({ number, name }) => ({ number, call: name, state: 'done', why: '' })),
  attach: (platform) => attach(platform),
});

function attach(platform: Platform): Attached {
  const { host, page } = createHost(platform);
  return {
    border: {
      cpuid: lguestCpuid,
      rdmsr: () => false,
      wrmsr: () => false,
      hypercall: (instruction) => instruction === 'vmcall' && onVmcall(host),
    },
    exit: (exit) => onExit(host, exit),
    enter: () => host.enter(),
    waiting: () => host.state.halted,
    start(guest) {
      page.write();
      launch(host, guest);
    },
    noticed: () => host.state.called,
  };
}

function createHost(platform: Platform): { host: LguestHost; page: DevicePage } {
  const { cpu, ram, memoryBytes, seed } = platform;
  const limit = memoryBytes + DEVICE_BYTES;
  for (let frame = 0; frame < ram.bytes / PAGE; frame++) cpu.mmu.clearFrame(frame, FRAME_MMIO);
  const written = ramListener(cpu);
  const memory = new GuestRam(cpu.memory, cpu.layout.ramBase, limit, written);
  const state = freshHostState();
  const shadowState = freshShadowState(SHADOW_FRAMES, seed);
  platform.snapshots.addState('lguest', state);
  platform.snapshots.addState('lguest.shadow', shadowState);
  const shadow = new Shadow(cpu, ram, shadowState);
  const first = limit / PAGE;
  // No getter: V8 makes a slow object of the second literal with one.
  const descriptors = new Descriptors(gdtFrame(first) * PAGE);
  const timer = platform.clock.timer('lguest.clock', () => raiseLine(host, TIMER_LINE));
  const look = platform.clock.timer('lguest.look', () => {});
  const host: LguestHost = {
    platform,
    cpu,
    state,
    memory,
    view: cpu.views.data,
    ramBase: cpu.layout.ramBase,
    written,
    vcpuWords: cpu.state.words,
    shadow,
    descriptors,
    frame: new Uint32Array(6),
    enter() {
      if (state.dead) return;
      const again = deliverInterrupt(host);
      if (state.halted) cpu.state.setWord(FIELDS.halted, 1);
      // One that is set stays, though there be nothing to look at by then: events come more often than it falls due.
      if (again && look.deadline() === NEVER) look.set(platform.clock.now() + LOOK_NANOS);
    },
    notify: (gpa) => {
      if (!page.notify(gpa)) print(host, gpa);
    },
    mapOwn: () => writeSwitcher(ram, first, state.pae),
    setClockEvent(nanos) {
      if (nanos === 0) timer.cancel();
      else timer.set(platform.clock.now() + nanos);
    },
  };
  descriptors.connect(host);
  shadow.connect(host, switcherTable(first));
  for (let n = SHADOW_FRAMES - 1; n >= 0; n--)
    shadowState.free[shadowState.freeCount++] = first + SWITCHER_FRAMES + n;
  const devices = createDevices({
    platform,
    memory,
    raise: (line) => raiseLine(host, line),
    fail: (why) => killGuest(host, why),
  });
  const page = new DevicePage(memory, memoryBytes, devices, TIMER_LINE + 1, (why) =>
    killGuest(host, why),
  );
  return { host, page };
}

/** Early console: text up to its NUL, 16 characters at a time in Linux (arch/x86/lguest/boot.c early_put_chars, 2.6.32). */
function print(host: LguestHost, gpa: number): void {
  const { memory, platform } = host;
  if (!memory.contains(gpa, 1)) return killGuest(host, `Bad NOTIFY ${hex(gpa)}`);
  for (let n = 0; n < TEXT_MAX; n++) {
    const byte = memory.u8(gpa + n);
    if (byte <= 0) return;
    platform.console.transmit(byte);
  }
}
