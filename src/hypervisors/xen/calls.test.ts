// The calls that PV and PVH share: what they answer, and what they refuse.

import { describe, expect, it } from 'vitest';
import { evtchnBindVirq } from './abi/event-channel.ts';
import * as sched from './abi/sched.ts';
import * as vcpu from './abi/vcpu.ts';
import { compileInfo, featureInfo, platformParameters } from './abi/version.ts';
import { sharedInfo, vcpuInfo } from './abi/xen.ts';
import { openHostPort, raise } from './events.ts';
import { ARG, takeUpcall, testDomain } from './testing/domain.ts';

const VERSION = 17;
const CONSOLE_IO = 18;
const VCPU_OP = 24;
const SCHED_OP = 29;
const SET_TIMER_OP = 15;
const EVTCHN = 32;
const NOWHERE = 0x4000_0000;

const text = (test: ReturnType<typeof testDomain>, bytes = 64) =>
  new TextDecoder('latin1').decode(test.platform.ram.read(ARG, bytes)!).split('\0')[0];

describe('xen_version', () => {
  it.each([
    ['XENVER_extraversion', 1, /^\.5/],
    ['XENVER_capabilities', 3, /hvm-3\.0-x86_64/],
    ['XENVER_changeset', 4, /^$/],
  ] as const)('%s is text', (_name, cmd, wanted) => {
    const test = testDomain();
    expect(test.call(VERSION, cmd, ARG)).toBe(0);
    expect(text(test, 256)).toMatch(wanted);
    expect(test.call(VERSION, cmd, NOWHERE)).toBe(-14);
  });

  it('XENVER_version and XENVER_pagesize are results', () => {
    const { call } = testDomain();
    expect([call(VERSION, 0), call(VERSION, 7)]).toEqual([0x40011, 4096]);
  });

  it('XENVER_get_features has submap 0 only', () => {
    const test = testDomain();
    expect(test.call(VERSION, 6, test.put(featureInfo, { submap_idx: 1 }))).toBe(-22);
    expect(test.call(VERSION, 6, test.put(featureInfo, { submap_idx: 0 }))).toBe(0);
    // Bits 2, 8 and 9: translated, callback vector, safe clock.
    expect(test.get(featureInfo).submap & 0x304).toBe(0x304);
    expect(test.call(VERSION, 6, NOWHERE)).toBe(-14);
  });

  it('XENVER_get_features of a PV guest has bits 5 and 7, without which Linux panics', () => {
    const test = testDomain('pv64');
    test.call(VERSION, 6, test.put(featureInfo, { submap_idx: 0 }));
    expect(test.get(featureInfo).submap & 0xa1).toBe(0xa0);
  });

  it('XENVER_platform_parameters is where the range of the hypervisor begins', () => {
    const test = testDomain('pv32');
    expect(test.call(VERSION, 5, ARG)).toBe(0);
    expect(test.get(platformParameters).virt_start).toBe(0xf580_0000);
    const wide = testDomain('pv64');
    wide.call(VERSION, 5, ARG);
    expect([wide.platform.ram.u32(ARG), wide.platform.ram.u32(ARG + 4)]).toEqual([0, 0xffff_8000]);
  });

  it('XENVER_compile_info and XENVER_guest_handle fill their structures', () => {
    const test = testDomain();
    expect(test.call(VERSION, 2, ARG)).toBe(0);
    expect(test.get(compileInfo).compiler[0]).not.toBe(0);
    expect([test.call(VERSION, 8, ARG), test.call(VERSION, 8, NOWHERE)]).toEqual([0, -14]);
  });

  it('XENVER_commandline says that it is denied, and XENVER_build_id is refused', () => {
    const { call, platform } = testDomain();
    expect([call(VERSION, 9, ARG), call(VERSION, 10, ARG)]).toEqual([0, -1]);
    expect(Buffer.from(platform.ram.read(ARG, 9)!).toString()).toBe('<denied>\0');
  });
});

it('console_io is refused', () => {
  expect(testDomain().call(CONSOLE_IO, 0, 5, ARG)).toBe(-1);
});

describe('vcpu_op', () => {
  it('knows one vCPU: VCPUOP_is_up is -ENOENT for others', () => {
    const { call } = testDomain();
    expect([call(VCPU_OP, 3, 0), call(VCPU_OP, 3, 1), call(VCPU_OP, 3, 0xffff_ffff)]).toEqual([
      1, -2, -2,
    ]);
  });

  it('VCPUOP_initialise, VCPUOP_up and VCPUOP_get_physid have nothing to work on', () => {
    const { call } = testDomain();
    expect([call(VCPU_OP, 0, 0, ARG), call(VCPU_OP, 1, 0), call(VCPU_OP, 12, 0, ARG)]).toEqual([
      -22, -22, -22,
    ]);
  });

  it('VCPUOP_down of the last vCPU switches the domain off; there is no other to take down', () => {
    const test = testDomain();
    expect(test.call(VCPU_OP, 2, 1)).toBe(-2);
    expect(test.domain.state.shutdownReason).toBe(-1);
    expect(test.call(VCPU_OP, 2, 0)).toBe(0);
    expect(test.domain.state.shutdownReason).toBe(sched.SHUTDOWN_poweroff);
  });

  it.each([2, 12, 14])('command %i of a vCPU that is not there is -ENOENT', (cmd) => {
    expect(testDomain().call(VCPU_OP, cmd, 9, ARG)).toBe(-2);
  });

  it('VCPUOP_register_vcpu_info moves what is pending, once, to where memory is', () => {
    const test = testDomain();
    const port = openHostPort(test.domain, 'nobody');
    raise(test.domain, port);
    const place = (mfn: number, offset: number) =>
      test.call(VCPU_OP, 10, 0, test.put(vcpu.vcpuRegisterVcpuInfo, { mfn, offset }));
    expect([place(0x300, 4095), place(0x300, 2), place(0x10_0000, 0)]).toEqual([-22, -22, -22]);
    expect([place(0x300, 128), place(0x300, 0)]).toEqual([0, -22]);
    const { ram } = test.platform;
    const version = ram.u32(0x30_0080 + vcpuInfo.wide.offsetOf('time'));
    expect([ram.u8(0x30_0080), version > 0, version & 1]).toEqual([1, true, 0]);
    expect(test.call(VCPU_OP, 10, 0, NOWHERE)).toBe(-14);
  });

  it('VCPUOP_register_runstate_memory_area and VCPUOP_get_runstate_info say running, and sum up to now', () => {
    const test = testDomain();
    test.platform.clock.skipTo(5_000_000);
    test.put(vcpu.vcpuRegisterArea, { p: 0x31_0000 });
    expect(test.call(VCPU_OP, 5, 0, ARG)).toBe(0);
    expect(test.get(vcpu.vcpuRunstateInfo, 0x31_0000).state).toBe(vcpu.RUNSTATE_running);
    expect(test.call(VCPU_OP, 4, 0, ARG)).toBe(0);
    const { time } = test.get(vcpu.vcpuRunstateInfo);
    expect(time.reduce((sum, t) => sum + t)).toBe(5_000_000);
    expect([test.call(VCPU_OP, 5, 0, NOWHERE), test.call(VCPU_OP, 4, 0, NOWHERE)]).toEqual([
      -14, -14,
    ]);
  });

  it('VCPUOP_register_vcpu_time_memory_area has a copy of the time', () => {
    const test = testDomain();
    test.put(vcpu.vcpuRegisterArea, { p: 0x31_0000 });
    expect(test.call(VCPU_OP, 13, 0, ARG)).toBe(0);
    expect(test.platform.ram.u32(0x31_0000 + 24)).toBe(0x8000_0000);
  });

  it('VCPUOP_send_nmi pends one, and takes no argument', () => {
    const test = testDomain();
    expect(test.call(VCPU_OP, 11, 0, ARG)).toBe(-22);
    expect(test.call(VCPU_OP, 11, 0, 0)).toBe(0);
    expect(test.platform.cpu.nmiPending()).toBe(true);
  });
});

describe('a timer', () => {
  function withTimer() {
    const test = testDomain();
    test.call(EVTCHN, 1, test.put(evtchnBindVirq, { virq: 0, vcpu: 0 }));
    const { clock } = test.platform;
    const passed = (to: number) => {
      takeUpcall(test);
      test.platform.ram.fill(
        test.domain.state.sharedInfo + sharedInfo.wide.offsetOf('evtchn_pending'),
        8,
        0,
      );
      test.told.length = 0;
      clock.skipTo(to);
      clock.runDue(100);
      return test.told.includes('upcall');
    };
    const shot = (lo: number, hi = 0) =>
      test.call(
        VCPU_OP,
        8,
        0,
        test.put(vcpu.vcpuSetSingleshotTimer, { timeout_abs_ns: { lo, hi } }),
      );
    return { ...test, passed, shot };
  }

  it('VCPUOP_set_singleshot_timer fires once, at its time; VCPUOP_stop_singleshot_timer stops it', () => {
    const { shot, passed, call } = withTimer();
    expect(shot(2_000_000)).toBe(0);
    expect([passed(1_999_999), passed(2_000_000), passed(9_000_000)]).toEqual([false, true, false]);
    shot(10_000_000);
    expect(call(VCPU_OP, 9, 0)).toBe(0);
    expect(passed(20_000_000)).toBe(false);
  });

  it('in the past fires at once, and one at the end of time never', () => {
    const { shot, told, passed } = withTimer();
    told.length = 0;
    expect(shot(0)).toBe(0);
    expect(told).toContain('upcall');
    expect(shot(0xffff_ffff, 0xffff_ffff)).toBe(0);
    expect(passed(3_000_000_000_000)).toBe(false);
  });

  it('VCPUOP_set_periodic_timer repeats, from a millisecond up; VCPUOP_stop_periodic_timer ends it', () => {
    const { call, put, passed } = withTimer();
    const period = (lo: number, hi = 0) =>
      call(VCPU_OP, 6, 0, put(vcpu.vcpuSetPeriodicTimer, { period_ns: { lo, hi } }));
    expect([period(999_999), period(0, 0xffff_ffff), period(1_000_000)]).toEqual([-22, -22, 0]);
    expect([passed(1_000_000), passed(2_000_000)]).toEqual([true, true]);
    expect(call(VCPU_OP, 7, 0)).toBe(0);
    expect(passed(9_000_000)).toBe(false);
  });

  it('set_timer_op is the single shot; 0 cancels', () => {
    const { call, passed } = withTimer();
    expect(call(SET_TIMER_OP, 1_000_000)).toBe(0);
    expect(passed(1_000_000)).toBe(true);
    call(SET_TIMER_OP, 2_000_000);
    expect(call(SET_TIMER_OP, 0)).toBe(0);
    expect(passed(3_000_000)).toBe(false);
  });
});

describe('sched_op', () => {
  it('SCHEDOP_yield goes on, SCHEDOP_block waits for an event, and not if one is there', () => {
    const test = testDomain();
    expect([test.call(SCHED_OP, 0), test.call(SCHED_OP, 1)]).toEqual([0, 0]);
    expect(test.told).toEqual(['block']);
    raise(test.domain, openHostPort(test.domain, 'nobody'));
    expect(test.told).toEqual(['block', 'upcall', 'wake']);
    test.call(SCHED_OP, 1);
    expect(test.told).toHaveLength(3);
  });

  it('SCHEDOP_poll wakes for a masked port, and at its timeout', () => {
    const test = testDomain();
    const port = openHostPort(test.domain, 'nobody');
    test.platform.ram.fill(
      test.domain.state.sharedInfo + sharedInfo.wide.offsetOf('evtchn_mask'),
      8,
      0xff,
    );
    test.platform.ram.setU32(ARG + 64, port);
    const poll = (lo: number) =>
      test.call(
        SCHED_OP,
        3,
        test.put(sched.schedPoll, { ports: ARG + 64, nr_ports: 1, timeout: { lo, hi: 0 } }),
      );
    expect(poll(0)).toBe(0);
    raise(test.domain, port);
    expect(test.told).toEqual(['block', 'wake']);
    expect(poll(0)).toBe(0);
    expect(test.told).toHaveLength(2);
    test.platform.ram.fill(
      test.domain.state.sharedInfo + sharedInfo.wide.offsetOf('evtchn_pending'),
      8,
      0,
    );
    poll(1_000_000);
    test.platform.clock.skipTo(1_000_000);
    test.platform.clock.runDue(9);
    expect(test.told).toEqual(['block', 'wake', 'block', 'wake']);
  });

  it('SCHEDOP_poll refuses ports that are not there, too many of them, and memory that is not', () => {
    const test = testDomain();
    const poll = (ports: number, nr_ports: number) =>
      test.call(
        SCHED_OP,
        3,
        test.put(sched.schedPoll, { ports, nr_ports, timeout: { lo: 0, hi: 0 } }),
      );
    expect([poll(ARG + 64, 1), poll(ARG + 64, 129), poll(NOWHERE, 1)]).toEqual([-22, -22, -14]);
    expect(test.call(SCHED_OP, 3, NOWHERE)).toBe(-14);
  });

  it.each([
    [sched.SHUTDOWN_poweroff, 0],
    [sched.SHUTDOWN_reboot, 0],
    [sched.SHUTDOWN_crash, 0],
    [sched.SHUTDOWN_suspend, 0],
    [6, 0],
  ])('SCHEDOP_shutdown with reason %i answers %i', (reason, result) => {
    const test = testDomain();
    expect(test.call(SCHED_OP, 2, test.put(sched.schedShutdown, { reason }))).toBe(result);
  });

  it('SCHEDOP_shutdown ends the domain with any reason, of which the low byte counts', () => {
    const test = testDomain();
    test.call(SCHED_OP, 2, test.put(sched.schedShutdown, { reason: 0x1_f4 }));
    expect(test.domain.state.shutdownReason).toBe(0xf4);
  });

  it('SCHEDOP_shutdown_code counts the first time, and goes before what is said later', () => {
    const test = testDomain();
    const code = (reason: number) =>
      test.call(SCHED_OP, 5, test.put(sched.schedShutdown, { reason }));
    expect([code(0x1_03), code(6), test.domain.state.shutdownCode]).toEqual([0, 0, 3]);
    test.call(SCHED_OP, 2, test.put(sched.schedShutdown, { reason: sched.SHUTDOWN_poweroff }));
    expect(test.domain.state.shutdownReason).toBe(sched.SHUTDOWN_crash);
  });

  it('SCHEDOP_remote_shutdown and SCHEDOP_pin_override are for others', () => {
    const test = testDomain();
    const remote = (domain_id: number) =>
      test.call(SCHED_OP, 4, test.put(sched.schedRemoteShutdown, { domain_id, reason: 0 }));
    expect([remote(0), remote(9), test.call(SCHED_OP, 7, ARG)]).toEqual([-1, -3, -1]);
  });

  describe('SCHEDOP_watchdog', () => {
    const watched = () => {
      const test = testDomain();
      const watch = (id: number, timeout: number) =>
        test.call(SCHED_OP, 6, test.put(sched.schedWatchdog, { id, timeout }));
      return { test, watch };
    };

    it('starts two, by number, that can be set again and stopped', () => {
      const { watch } = watched();
      expect([watch(1, 0), watch(0, 9), watch(0, 9), watch(0, 9)]).toEqual([-22, 1, 2, -28]);
      expect([watch(3, 9), watch(2, 5), watch(1, 0), watch(0, 9)]).toEqual([-22, 0, 0, 1]);
    });

    it('ends a domain that does not set it again in time', () => {
      const { test, watch } = watched();
      watch(0, 2);
      watch(0, 1);
      watch(2, 0);
      test.platform.clock.skipTo(2_000_000_000);
      test.platform.clock.runDue(9);
      expect(test.domain.state.shutdownReason).toBe(sched.SHUTDOWN_watchdog);
    });
  });
});

describe('calls of the control domain', () => {
  const asked = (words: readonly number[]) => {
    const test = testDomain('pv64');
    words.forEach((word, n) => void test.platform.ram.setU32(ARG + n * 4, word));
    return test.call;
  };

  it('sysctl, domctl and paging_domctl_cont look at their version first, and at the domain', () => {
    expect([asked([0, 0x14])(35, ARG), asked([0, 0x15])(35, ARG)]).toEqual([-13, -1]);
    const domain = (version: number, id: number) => asked([10, version, id])(36, ARG);
    expect([domain(0x14, 0), domain(0x15, 7), domain(0x15, 0)]).toEqual([-13, -3, -1]);
    const paging = (cmd: number, id: number) => asked([cmd, 0x15, id])(49, ARG);
    expect([paging(1, 0), paging(10, 7), paging(10, 0)]).toEqual([-95, -3, -1]);
    expect([35, 36, 49].map((number) => asked([])(number, NOWHERE))).toEqual([-14, -14, -14]);
  });

  it('kexec_op, hypfs_op and mca are refused whatever they say', () => {
    expect([37, 42, 48].map((number) => asked([])(number, NOWHERE))).toEqual([-1, -1, -1]);
  });

  it('xenoprof_op is for the domain that profiles, and here for nobody', () => {
    expect([-1, 18, 1, 0].map((op) => asked([])(31, op, ARG))).toEqual([-22, -22, -1, -19]);
  });

  it('dm_op has two buffers at most, and a domain that is another', () => {
    const call = asked([]);
    expect([call(41, 0, 3, ARG), call(41, 0, 1, NOWHERE)]).toEqual([-7, -14]);
    expect([call(41, 7, 0, 0), call(41, 1, 0, 0), call(41, 0, 0, 0)]).toEqual([-3, -1, -22]);
  });
});
