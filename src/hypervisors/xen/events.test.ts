// Event channels in both of their ABIs: binding, refusals, masks, queues.

import { describe, expect, it } from 'vitest';
import * as abi from './abi/event-channel.ts';
import { sharedInfo, vcpuInfo } from './abi/xen.ts';
import { openHostPort, raise } from './events.ts';
import { type TestDomain, takeUpcall, testDomain } from './testing/domain.ts';

const EVTCHN = 32;
const SELF = 0x7ff0;
const CONTROL_FRAME = 0x200;
const ARRAY_FRAME = 0x201;

const bindIpi = (test: TestDomain): number => {
  expect(test.call(EVTCHN, abi.EVTCHNOP_bind_ipi, test.put(abi.evtchnBindIpi, { vcpu: 0 }))).toBe(
    0,
  );
  return test.get(abi.evtchnBindIpi).port;
};
const onPort = (test: TestDomain, op: number, port: number): number =>
  test.call(EVTCHN, op, test.put(abi.evtchnPort, { port }));

function maskBit({ platform, domain }: TestDomain, port: number, masked: boolean): void {
  const layout = domain.state.wideShared ? sharedInfo.wide : sharedInfo.narrow;
  const at = domain.state.sharedInfo + layout.offsetOf('evtchn_mask') + (port >>> 3);
  const old = platform.ram.u8(at) & ~(1 << (port & 7));
  platform.ram.setU8(at, masked ? old | (1 << (port & 7)) : old);
}

describe('ports', () => {
  it('are given out from 1 on, and again when they are closed', () => {
    const test = testDomain();
    expect([bindIpi(test), bindIpi(test), bindIpi(test)]).toEqual([1, 2, 3]);
    expect(onPort(test, abi.EVTCHNOP_close, 2)).toBe(0);
    expect(bindIpi(test)).toBe(2);
  });

  it('end at 1023: -ENOSPC', () => {
    const test = testDomain();
    for (let port = 1; port <= 1023; port++) openHostPort(test.domain, 'nobody');
    expect(test.call(EVTCHN, abi.EVTCHNOP_bind_ipi, test.put(abi.evtchnBindIpi, { vcpu: 0 }))).toBe(
      -28,
    );
  });

  it.each([0, 5, 4096, 0xffff_ffff])('that are not open are refused: %i', (port) => {
    const test = testDomain();
    for (const op of [abi.EVTCHNOP_close, abi.EVTCHNOP_send])
      expect(onPort(test, op, port)).toBe(-22);
  });

  it('are there by 64, and can be unmasked before they are open', () => {
    const test = testDomain();
    const unmask = (port: number) => onPort(test, abi.EVTCHNOP_unmask, port);
    expect([unmask(0), unmask(63), unmask(64)]).toEqual([0, 0, -22]);
    for (let port = 1; port <= 64; port++) openHostPort(test.domain, 'nobody');
    expect([unmask(127), unmask(128)]).toEqual([0, -22]);
  });

  it('of arguments that are not in memory are -EFAULT', () => {
    const { call } = testDomain();
    for (let op = 0; op <= 14; op++) expect(call(EVTCHN, op, -1)).toBe(-14);
  });

  it('of a physical interrupt there are none', () => {
    const { call, put } = testDomain();
    const bind = (pirq: number) =>
      call(EVTCHN, abi.EVTCHNOP_bind_pirq, put(abi.evtchnBindPirq, { pirq }));
    expect([bind(0), bind(55), bind(56)]).toEqual([-1, -1, -22]);
  });
});

describe('a virtual IRQ', () => {
  const bind = (test: TestDomain, virq: number, vcpu = 0) =>
    test.call(EVTCHN, abi.EVTCHNOP_bind_virq, test.put(abi.evtchnBindVirq, { virq, vcpu }));

  it('is bound once: -EEXIST; free again after its port was closed', () => {
    const test = testDomain();
    expect([bind(test, 0), bind(test, 0)]).toEqual([0, -17]);
    onPort(test, abi.EVTCHNOP_close, 1);
    expect(bind(test, 0)).toBe(0);
  });

  it('must exist, on a vCPU that exists; those of the whole domain on the first', () => {
    const test = testDomain();
    expect([bind(test, 24), bind(test, 0, 1), bind(test, 3), bind(test, 12, 1)]).toEqual([
      -22, -2, 0, -22,
    ]);
  });
});

describe('binding', () => {
  it('a port of ones own joins two ports of the domain', () => {
    const test = testDomain();
    const { call, put, get, domain } = test;
    expect(
      call(
        EVTCHN,
        abi.EVTCHNOP_alloc_unbound,
        put(abi.evtchnAllocUnbound, { dom: SELF, remote_dom: SELF }),
      ),
    ).toBe(0);
    const remote_port = get(abi.evtchnAllocUnbound).port;
    const bind = () =>
      call(
        EVTCHN,
        abi.EVTCHNOP_bind_interdomain,
        put(abi.evtchnBindInterdomain, { remote_dom: SELF, remote_port }),
      );
    expect(bind()).toBe(0);
    const local = get(abi.evtchnBindInterdomain).local_port;
    expect(bind()).toBe(-22);
    takeUpcall(test);
    expect(onPort(test, abi.EVTCHNOP_send, local)).toBe(0);
    expect(test.platform.ram.u8(domain.state.sharedInfo + 2048)).toBe(
      (1 << local) | (1 << remote_port),
    );
  });

  it('to domains that are not there is -ESRCH, for others is -EPERM', () => {
    const { call, put } = testDomain();
    const alloc = (dom: number) =>
      call(EVTCHN, abi.EVTCHNOP_alloc_unbound, put(abi.evtchnAllocUnbound, { dom, remote_dom: 0 }));
    expect([alloc(0), alloc(7), alloc(1)]).toEqual([-1, -3, 0]);
    const bind = (remote_dom: number) =>
      call(
        EVTCHN,
        abi.EVTCHNOP_bind_interdomain,
        put(abi.evtchnBindInterdomain, { remote_dom, remote_port: 1 }),
      );
    expect([bind(0), bind(7)]).toEqual([-22, -3]);
  });

  it('to a vCPU is refused for what belongs to one already', () => {
    const test = testDomain();
    const port = bindIpi(test);
    const bind = (vcpu: number, p: number) =>
      test.call(EVTCHN, abi.EVTCHNOP_bind_vcpu, test.put(abi.evtchnBindVcpu, { port: p, vcpu }));
    expect([bind(0, port), bind(1, port), bind(0, 9)]).toEqual([-22, -2, -22]);
    expect(bind(0, openHostPort(test.domain, 'nobody'))).toBe(0);
  });

  it('is told by status', () => {
    const test = testDomain();
    const port = bindIpi(test);
    const status = (p: number, dom = SELF) =>
      test.call(EVTCHN, abi.EVTCHNOP_status, test.put(abi.evtchnStatus, { dom, port: p }));
    expect(status(port)).toBe(0);
    expect(test.get(abi.evtchnStatus)).toMatchObject({ status: abi.EVTCHNSTAT_ipi, vcpu: 0 });
    expect([status(63), test.get(abi.evtchnStatus).status]).toEqual([0, abi.EVTCHNSTAT_closed]);
    expect(status(64)).toBe(-22);
    expect([status(1, 0), status(1, 9), status(1 << 17)]).toEqual([-1, -3, -22]);
  });
});

describe('the 2-level ABI', () => {
  it.each(['hvm', 'pv32'] as const)(
    'sets pending, selector and upcall, and tells the vCPU once (%s)',
    (caller) => {
      const test = testDomain(caller);
      const port = openHostPort(test.domain, 'nobody');
      raise(test.domain, port);
      raise(test.domain, port);
      expect(test.told).toEqual(['upcall']);
      const info = test.get(vcpuInfo, test.vcpu.state.info);
      expect(info).toMatchObject({ evtchn_upcall_pending: 1, evtchn_pending_sel: 1 });
    },
  );

  it('holds back a masked event until it is unmasked', () => {
    const test = testDomain();
    const port = bindIpi(test);
    maskBit(test, port, true);
    expect(onPort(test, abi.EVTCHNOP_send, port)).toBe(0);
    expect(test.told).toEqual([]);
    expect(onPort(test, abi.EVTCHNOP_unmask, port)).toBe(0);
    expect(test.told).toEqual(['upcall']);
  });

  it('has no priorities', () => {
    const test = testDomain();
    bindIpi(test);
    expect(
      test.call(
        EVTCHN,
        abi.EVTCHNOP_set_priority,
        test.put(abi.evtchnSetPriority, { port: 1, priority: 0 }),
      ),
    ).toBe(-38);
    expect(
      test.call(
        EVTCHN,
        abi.EVTCHNOP_expand_array,
        test.put(abi.evtchnExpandArray, { array_gfn: 1 }),
      ),
    ).toBe(-95);
  });
});

describe('the FIFO ABI', () => {
  function fifo() {
    const test = testDomain();
    const init = (control_gfn: number, offset: number, vcpu = 0) =>
      test.call(
        EVTCHN,
        abi.EVTCHNOP_init_control,
        test.put(abi.evtchnInitControl, { control_gfn, offset, vcpu }),
      );
    const expand = (array_gfn: number) =>
      test.call(EVTCHN, abi.EVTCHNOP_expand_array, test.put(abi.evtchnExpandArray, { array_gfn }));
    const block = () => test.get(abi.evtchnFifoControlBlock, CONTROL_FRAME * 4096);
    const word = (port: number) => test.platform.ram.u32(ARRAY_FRAME * 4096 + port * 4);
    return { ...test, test, init, expand, block, word };
  }

  it('begins with a control block, which must fit and is given once', () => {
    const { init, get } = fifo();
    expect([
      init(CONTROL_FRAME, 4096),
      init(CONTROL_FRAME, 4),
      init(0x10_0000, 0),
      init(CONTROL_FRAME, 0, 3),
    ]).toEqual([-22, -22, -22, -2]);
    expect(init(CONTROL_FRAME, 0)).toBe(0);
    expect(get(abi.evtchnInitControl).link_bits).toBe(17);
    expect(init(CONTROL_FRAME, 0)).toBe(-22);
  });

  it('links events in order of arrival, and tells the vCPU for the first', () => {
    const { init, expand, test, block, word, told } = fifo();
    const [a, b] = [bindIpi(test), bindIpi(test)];
    init(CONTROL_FRAME, 0);
    expand(ARRAY_FRAME);
    onPort(test, abi.EVTCHNOP_send, b);
    onPort(test, abi.EVTCHNOP_send, a);
    onPort(test, abi.EVTCHNOP_send, b);
    expect(block()).toMatchObject({ ready: 1 << 7 });
    expect(block().head[7]).toBe(b);
    expect(word(b)).toBe(0xa000_0000 + a);
    expect(word(a)).toBe(0xa000_0000);
    expect(told).toEqual(['upcall']);
  });

  it('keeps what is raised before its word exists, and what was pending in the 2-level ABI', () => {
    const { init, expand, test, word } = fifo();
    const [a, b] = [bindIpi(test), bindIpi(test)];
    onPort(test, abi.EVTCHNOP_send, a);
    init(CONTROL_FRAME, 0);
    onPort(test, abi.EVTCHNOP_send, b);
    expect(expand(ARRAY_FRAME)).toBe(0);
    expect(word(a)).toBe(0xa000_0000 + b);
  });

  it('queues by priority, and refuses one that is none', () => {
    const { init, expand, test, block, call, put } = fifo();
    const port = bindIpi(test);
    init(CONTROL_FRAME, 0);
    expand(ARRAY_FRAME);
    const priority = (value: number) =>
      call(
        EVTCHN,
        abi.EVTCHNOP_set_priority,
        put(abi.evtchnSetPriority, { port, priority: value }),
      );
    expect([priority(16), priority(2)]).toEqual([-22, 0]);
    onPort(test, abi.EVTCHNOP_send, port);
    expect(block().ready).toBe(1 << 2);
  });

  it('has room for 128 pages of words, of frames that are there', () => {
    const { init, expand } = fifo();
    init(CONTROL_FRAME, 0);
    expect(expand(0x10_0000)).toBe(-22);
    for (let n = 0; n < 128; n++) expect(expand(ARRAY_FRAME)).toBe(0);
    expect(expand(ARRAY_FRAME)).toBe(-28);
  });

  it('is given up by a reset, with all ports', () => {
    const { init, test, domain, call, put } = fifo();
    bindIpi(test);
    init(CONTROL_FRAME, 0);
    const reset = (dom: number) => call(EVTCHN, abi.EVTCHNOP_reset, put(abi.evtchnReset, { dom }));
    expect([reset(0), reset(SELF)]).toEqual([-1, 0]);
    const more = (dom: number) =>
      call(EVTCHN, abi.EVTCHNOP_reset_cont, put(abi.evtchnReset, { dom }));
    expect([more(0), more(SELF)]).toEqual([-1, -16]);
    expect(domain.state.fifo).toBe(false);
    expect(onPort(test, abi.EVTCHNOP_send, 1)).toBe(-22);
  });
});
