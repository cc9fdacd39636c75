// KVM as a guest meets it: leaves, MSRs, areas and calls on a real machine without a kernel.

import { describe, expect, it } from 'vitest';
import { HIGH_RAM_START } from '../../machine/memory.ts';
import { testPlatform } from '../testing/platform.ts';
import { kvmClockPairing, kvmStealTime, pvclockVcpuTimeInfo, pvclockWallClock } from './abi.ts';
import { kvm } from './index.ts';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSI = 6;
const AREA = HIGH_RAM_START;

function attached(version = '6.1') {
  const platform = testPlatform();
  const { border, noticed } = kvm.attach(platform, version);
  const { cpu, ram } = platform;
  const out = new Uint32Array(4);
  return {
    platform,
    ram,
    state: cpu.state,
    noticed,
    cpuid(leaf: number) {
      border.cpuid(leaf, 0, out);
      return [...out];
    },
    rdmsr: (index: number) => (border.rdmsr(index, out) ? [out[0], out[1]] : null),
    wrmsr: (index: number, lo: number, hi = 0) => border.wrmsr(index, lo, hi),
    view: (gpa: number, bytes: number) => {
      const copy = ram.read(gpa, bytes)!;
      return new DataView(copy.buffer, copy.byteOffset, bytes);
    },
    /** A call from 64-bit code at CPL 0; the result as RAX has it. */
    call(number: bigint, a0 = 0n, a1 = 0n, a2 = 0n, a3 = 0n) {
      cpu.state.set('codeMode', 64);
      cpu.state.setGpr(RAX, number);
      cpu.state.setGpr(RBX, a0);
      cpu.state.setGpr(RCX, a1);
      cpu.state.setGpr(RDX, a2);
      cpu.state.setGpr(RSI, a3);
      expect(border.hypercall('vmcall')).toBe(true);
      return BigInt.asIntN(64, cpu.state.gpr(RAX));
    },
    border,
  };
}

describe('CPUID', () => {
  it('has the signature "KVMKVMKVM" and the highest leaf at 0x40000000', () => {
    expect(attached().cpuid(0x40000000)).toEqual([0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d]);
  });

  it('names 0 as the highest leaf on 2.6.32, as hosts of that time did', () => {
    expect(attached('2.6.32').cpuid(0x40000000)[0]).toBe(0);
  });

  it('offers the features of the version, and no asynchronous page faults', () => {
    const [modern] = attached().cpuid(0x40000001);
    expect(modern! & 0x0100000b).toBe(0x0100000b);
    expect(modern! & ((1 << 4) | (1 << 14) | (1 << 2))).toBe(0);
    expect(attached('2.6.32').cpuid(0x40000001)[0]).toBe(0b111);
  });

  it('sets the hypervisor bit of leaf 1 and promises no invariant TSC', () => {
    const { cpuid } = attached();
    expect(cpuid(1)[2]! >>> 31).toBe(1);
    expect(cpuid(0x80000007)[3]! & (1 << 8)).toBe(0);
  });

  it('counts as noticed when the features are read, not when the signature is', () => {
    const { cpuid, noticed } = attached();
    cpuid(0x40000000);
    expect(noticed()).toBe(false);
    cpuid(0x40000001);
    expect(noticed()).toBe(true);
  });
});

describe('the clock', () => {
  it.each([0x12, 0x4b564d01])('is filled while MSR %i is written', (msr) => {
    const { wrmsr, view, platform } = attached();
    platform.clock.skipTo(5_000_000_123);
    expect(wrmsr(msr, AREA | 1)).toBe(true);
    const info = pvclockVcpuTimeInfo.read(view(AREA, 32), 0)!;
    expect(info.version % 2).toBe(0);
    expect(info.version).toBeGreaterThan(0);
    expect(info.system_time).toBe(5_000_000_123);
    expect(info.flags).toBe(1);
  });

  it('gives nanoseconds by the formula of the ABI', () => {
    const { wrmsr, view, platform } = attached();
    platform.clock.skipTo(1000);
    wrmsr(0x4b564d01, AREA | 1);
    const info = pvclockVcpuTimeInfo.read(view(AREA, 32), 0)!;
    const then = BigInt(info.tsc_timestamp.hi) * 2n ** 32n + BigInt(info.tsc_timestamp.lo);
    const nanos = (tsc: bigint) =>
      BigInt(info.system_time) +
      (((tsc - then) << BigInt(info.tsc_shift)) * BigInt(info.tsc_to_system_mul)) / 2n ** 32n;
    expect(nanos(then + 123_456_789n)).toBe(123_457_789n);
    // kHz as Linux derives them: (10^6 << 32) / mul, shifted back.
    expect(
      ((1_000_000n * 2n ** 32n) / BigInt(info.tsc_to_system_mul)) >> BigInt(info.tsc_shift),
    ).toBe(1_000_000n);
  });

  it('has no stable flag on 2.6.32, where the field was padding', () => {
    const { wrmsr, view } = attached('2.6.32');
    wrmsr(0x12, AREA | 1);
    expect(pvclockVcpuTimeInfo.read(view(AREA, 32), 0)!.flags).toBe(0);
  });

  it('writes nothing when bit 0 is clear, and reads back as written', () => {
    const { wrmsr, rdmsr, view } = attached();
    expect(wrmsr(0x4b564d01, AREA)).toBe(true);
    expect(new Uint8Array(view(AREA, 32).buffer.slice(0)).slice(0, 32).every((b) => b === 0)).toBe(
      true,
    );
    expect(rdmsr(0x4b564d01)).toEqual([AREA, 0]);
  });

  it('takes an area outside memory without a fault and without a trace', () => {
    const { wrmsr } = attached();
    expect(wrmsr(0x4b564d01, 0xfffff001, 0)).toBe(true);
    expect(wrmsr(0x4b564d01, 0xfffff001, 0xffffffff)).toBe(true);
  });

  it.each([0x11, 0x4b564d00])('gives the wall time of instruction 0 through MSR %i', (msr) => {
    const { wrmsr, view, platform } = attached();
    platform.clock.skipTo(7_000_000_000);
    wrmsr(msr, AREA);
    const wall = pvclockWallClock.read(view(AREA, 12), 0)!;
    expect(wall).toMatchObject({ sec: platform.epochSeconds, nsec: 0 });
    expect(wall.version % 2).toBe(0);
  });

  it('moves the version on by an even step at each update', () => {
    const { wrmsr, view, ram } = attached();
    ram.setU32(AREA, 7);
    wrmsr(0x4b564d00, AREA);
    const first = view(AREA, 12).getUint32(0, true);
    wrmsr(0x4b564d00, AREA);
    expect([first, view(AREA, 12).getUint32(0, true)]).toEqual([10, 12]);
  });
});

describe('the other MSRs', () => {
  it('steal time refuses reserved bits and says that nothing was stolen', () => {
    const { wrmsr, rdmsr, view } = attached();
    for (let bit = 1; bit <= 5; bit++) expect(wrmsr(0x4b564d03, AREA | (1 << bit))).toBe(false);
    expect(rdmsr(0x4b564d03)).toEqual([0, 0]);
    expect(wrmsr(0x4b564d03, AREA | 1)).toBe(true);
    expect(kvmStealTime.read(view(AREA, 64), 0)).toMatchObject({
      steal: { lo: 0, hi: 0 },
      version: 2,
      preempted: 0,
    });
  });

  it('paravirtual EOI takes a word aligned to 4 bytes', () => {
    const { wrmsr, rdmsr } = attached();
    expect(wrmsr(0x4b564d04, AREA | 2)).toBe(false);
    expect(wrmsr(0x4b564d04, (AREA + 4) | 1)).toBe(true);
    expect(rdmsr(0x4b564d04)).toEqual([AREA | 5, 0]);
  });

  it('poll control is 1 after reset and has one bit', () => {
    const { wrmsr, rdmsr } = attached();
    expect(rdmsr(0x4b564d05)).toEqual([1, 0]);
    expect(wrmsr(0x4b564d05, 2)).toBe(false);
    expect(wrmsr(0x4b564d05, 0, 1)).toBe(false);
    expect(wrmsr(0x4b564d05, 0)).toBe(true);
    expect(rdmsr(0x4b564d05)).toEqual([0, 0]);
  });

  it.each([0x4b564d02, 0x4b564d06, 0x4b564d07, 0x4b564d08])(
    'MSR %i, which is not advertised, is a general protection fault',
    (msr) => {
      const { wrmsr, rdmsr } = attached();
      expect([rdmsr(msr), wrmsr(msr, 1)]).toEqual([null, false]);
    },
  );

  it('those that came later are general protection faults on 2.6.32', () => {
    const { wrmsr } = attached('2.6.32');
    for (let msr = 0x4b564d00; msr <= 0x4b564d05; msr++) expect(wrmsr(msr, 1)).toBe(false);
  });

  it('the machine keeps its own', () => {
    expect(attached().rdmsr(0x1b)![0]! & 0x800).toBe(0x800);
  });
});

describe('hypercalls', () => {
  it('answer -KVM_ENOSYS to a number that nobody has', () => {
    const { call } = attached();
    for (const number of [0n, 3n, 4n, 8n, 12n, 99n, 2n ** 32n + 1n, 2n ** 64n - 1n]) {
      expect(call(number)).toBe(-1000n);
    }
  });

  it('answer -KVM_EPERM to user code, whatever it asks', () => {
    const { call, state } = attached();
    state.set('cpl', 3);
    expect([call(1n), call(99n)]).toEqual([-1n, -1n]);
  });

  it('use 32 bits of each register in 32-bit code', () => {
    const { border, state } = attached();
    state.set('codeMode', 32);
    state.setGpr(RAX, 0xffff_ffff_0000_0063n);
    border.hypercall('vmcall');
    expect(state.gpr(RAX)).toBe(0xffff_fc18n); // -1000 as 32 bits, upper half clear.
  });

  it('are the same by VMCALL and VMMCALL and change no other register', () => {
    const { border, state } = attached();
    state.set('codeMode', 64);
    for (let n = 0; n < 16; n++) state.setGpr(n, 1n);
    expect([border.hypercall('vmmcall'), state.gpr(RAX)]).toEqual([true, 0n]);
    for (let n = 1; n < 16; n++) expect(state.gpr(n)).toBe(1n);
  });

  it('VAPIC_POLL_IRQ, KICK_CPU and SCHED_YIELD succeed', () => {
    const { call } = attached();
    expect([call(1n), call(5n, 0n, 0n), call(11n, 0n)]).toEqual([0n, 0n, 0n]);
  });

  it('2.6.32 knows neither KICK_CPU nor CLOCK_PAIRING, SEND_IPI and SCHED_YIELD', () => {
    const { call } = attached('2.6.32');
    for (const number of [5n, 9n, 10n, 11n]) expect(call(number)).toBe(-1000n);
  });

  it('CLOCK_PAIRING gives wall time and TSC of one moment', () => {
    const { call, view, platform } = attached();
    platform.clock.skipTo(2_500_000_000);
    expect(call(9n, BigInt(AREA), 0n)).toBe(0n);
    const pairing = kvmClockPairing.read(view(AREA, 64), 0)!;
    expect(pairing).toMatchObject({ sec: platform.epochSeconds + 2, nsec: 500_000_000, flags: 0 });
  });

  it('CLOCK_PAIRING refuses other clocks and memory that is not there', () => {
    const { call } = attached();
    expect(call(9n, BigInt(AREA), 1n)).toBe(-95n);
    expect([call(9n, 0xffff_f000n), call(9n, 2n ** 63n)]).toEqual([-14n, -14n]);
  });

  it('SEND_IPI delivers to the one vCPU and counts it', () => {
    const { call, platform } = attached();
    platform.devices.mmioWrite(0xfee000f0, 4, 0x1ff, 0); // Software enable (SVR bit 8).
    expect(call(10n, 1n, 0n, 0n, 0x40n)).toBe(1n);
    expect(platform.lapic?.pending()).toBe(0x40);
  });

  it('SEND_IPI to nobody delivers nothing, and a shorthand is refused', () => {
    const { call, platform } = attached();
    expect([call(10n, 2n, 0n, 0n, 0x40n), call(10n, 1n, 0n, 1n, 0x40n)]).toEqual([0n, 0n]);
    expect(call(10n, 1n, 0n, 0n, 0x40040n)).toBe(-22n);
    expect(platform.lapic?.pending()).toBe(-1);
  });
});

describe('MMU_OP of 2.6.32', () => {
  const TABLE = AREA + 0x1000;

  it('is unknown to 6.1', () => {
    expect(attached().call(2n, 8n, BigInt(AREA))).toBe(-1000n);
  });

  it('stores entries and counts the bytes of whole records', () => {
    const { call, ram, state } = attached('2.6.32');
    state.set('cr4', 0x20);
    ram.setU32(AREA, 1);
    ram.setU64(AREA + 8, TABLE, 0);
    ram.setU64(AREA + 16, 0x1234_5067, 0x8000_0000);
    ram.setU32(AREA + 24, 2);
    expect(call(2n, 32n, BigInt(AREA))).toBe(32n);
    expect([ram.u32(TABLE), ram.u32(TABLE + 4)]).toEqual([0x1234_5067, 0x8000_0000]);
  });

  it('stores 4 bytes without PAE', () => {
    const { call, ram } = attached('2.6.32');
    ram.setU32(AREA, 1);
    ram.setU64(AREA + 8, TABLE, 0);
    ram.setU64(AREA + 16, 0x67, 1);
    expect(call(2n, 24n, BigInt(AREA))).toBe(24n);
    expect(ram.u32(TABLE + 4)).toBe(0);
  });

  it('never answers 0 or an error while bytes are left, which would make the guest loop or run wild', () => {
    const { call, ram } = attached('2.6.32');
    ram.setU32(AREA, 77);
    for (const length of [8n, 24n, 1024n, 4096n]) {
      expect(call(2n, length, BigInt(AREA))).toBe(length);
      expect(call(2n, length, 0xffff_fff0n)).toBe(length);
    }
  });
});
