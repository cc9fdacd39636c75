// A domain for tests: one vCPU, memory mapped one to one, and calls made as a guest makes them.

import type { StructPatch, StructValue } from '../../../base/struct.ts';
import type { Platform } from '../../define.ts';
import { TEST_RAM, testPlatform } from '../../testing/platform.ts';
import type { Narrow, XenFields, XenStruct } from '../abi/layout.ts';
import { vcpuInfo } from '../abi/xen.ts';
import type { AnyHypercall, Caller } from '../define.ts';
import { createDomain, type XenDomain, type XenVcpu } from '../domain.ts';
import { hypercall, hypercallTable } from '../hypercall.ts';
import * as calls from '../hypercalls/index.gen.ts';
import type { XenGuest } from '../memory.ts';
import { periodFired, timerFired, writeTime, writeWallClock } from '../time.ts';
import { wakeUp } from '../upcall.ts';
import { watchdogFired } from '../watchdog.ts';

const PAGE = 4096;
const WIDE = [7, 6, 2, 10, 8, 9];
const NARROW = [3, 1, 2, 6, 7, 5];
/** Where tests put what they pass. */
export const ARG = 0x10_0000;

export interface TestDomain {
  readonly domain: XenDomain;
  readonly vcpu: XenVcpu;
  readonly platform: Platform;
  /** What the interface was told: `upcall`, `block`, `wake`, `rewind`. */
  readonly told: string[];
  /** A call by number, with its result as a signed number. */
  call(number: number, ...args: number[]): number;
  put<F extends XenFields>(type: XenStruct<F>, patch: StructPatch<Narrow<F>>, at?: number): number;
  get<F extends XenFields>(type: XenStruct<F>, at?: number): StructValue<Narrow<F>>;
}

export function testDomain(caller: Caller = 'hvm', more: readonly AnyHypercall[] = []): TestDomain {
  const wide = caller !== 'pv32';
  const platform = testPlatform();
  const told: string[] = [];
  const guest = flatGuest(platform, told);
  const domain = createDomain({
    platform,
    guest,
    vcpus: 1,
    singleshot: (vcpu) => timerFired(domain, vcpu),
    periodic: (vcpu) => periodFired(domain, vcpu),
    pollEnd: (vcpu) => wakeUp(domain, vcpu),
    watchdog: watchdogFired,
  });
  const vcpu = domain.vcpus[0]!;
  domain.state.wideShared = wide;
  domain.state.sharedInfo = guest.hostFrame();
  vcpu.state.info = domain.state.sharedInfo;
  vcpu.state.up = true;
  writeWallClock(domain);
  writeTime(domain, vcpu);
  const table = hypercallTable([...Object.values(calls), ...more]);
  const { state } = platform.cpu;
  const layout = <F extends XenFields>(type: XenStruct<F>) => (wide ? type.wide : type.narrow);
  return {
    domain,
    vcpu,
    platform,
    told,
    call(number, ...args) {
      const registers = wide ? WIDE : NARROW;
      const set = (register: number, value: number) =>
        wide
          ? state.setGpr(register, BigInt.asUintN(64, BigInt(value)))
          : state.setGpr32(register, value >>> 0);
      set(0, number);
      args.forEach((value, n) => {
        set(registers[n]!, value);
      });
      for (let turn = 0; turn < 10_000; turn++) {
        const before = told.length;
        hypercall(domain, vcpu, table, caller, wide);
        if (told[before] !== 'rewind') break;
      }
      return wide ? Number(BigInt.asIntN(64, state.gpr(0))) : state.gpr32(0) | 0;
    },
    put(type, patch, at = ARG) {
      const bytes = new Uint8Array(layout(type).size);
      layout(type).write(new DataView(bytes.buffer), 0, patch);
      platform.ram.write(at, bytes);
      return at;
    },
    get(type, at = ARG) {
      const bytes = platform.ram.read(at, layout(type).size)!;
      return layout(type).read(new DataView(bytes.buffer), 0)!;
    },
  };
}

function flatGuest({ ram, cpu }: Platform, told: string[]): XenGuest {
  let next = TEST_RAM;
  return {
    window: cpu.views.data,
    peek: (gva, bytes) => (ram.contains(gva, bytes) ? cpu.layout.ramBase + gva : -1),
    poke: () => -1,
    readVirtual: (gva, bytes) => ram.read(gva, bytes),
    writeVirtual: (gva, bytes) => ram.write(gva, bytes),
    frameAddress: (frame) => (ram.contains(frame * PAGE, PAGE) ? frame * PAGE : -1),
    holdFrame: () => true,
    releaseFrame: () => {},
    frameNumber: (address) => address / PAGE,
    upcall: () => told.push('upcall'),
    rewind: () => told.push('rewind'),
    block: () => told.push('block'),
    wake: () => told.push('wake'),
    reclaim: (address) => told.push(`reclaim ${address}`),
    resume: () => told.push('resume') && 0,
    hostFrame() {
      next -= PAGE;
      return next;
    },
  };
}

/** The guest's own half of an upcall: takes the pending bit away. */
export function takeUpcall({ platform, vcpu }: TestDomain): void {
  platform.ram.setU8(vcpu.state.info, 0);
  const at = vcpuInfo.wide.offsetOf('evtchn_pending_sel');
  platform.ram.write(vcpu.state.info + at, new Uint8Array(8));
}
