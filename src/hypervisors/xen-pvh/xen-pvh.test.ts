// What a PVH guest has beside the shared calls: leaves, the hypercall page, parameters, its memory, and the way of an upcall.

import { describe, expect, it } from 'vitest';
import type { StructPatch } from '../../base/struct.ts';
import { CR0_PE } from '../../cpu/control-bits.ts';
import type { Platform } from '../define.ts';
import { testPlatform } from '../testing/platform.ts';
import * as evtchn from '../xen/abi/event-channel.ts';
import * as hvm from '../xen/abi/hvm.ts';
import type { Narrow, XenFields, XenStruct } from '../xen/abi/layout.ts';
import * as memory from '../xen/abi/memory.ts';
import * as vcpu from '../xen/abi/vcpu.ts';
import { xenPvh } from './index.ts';

const ARG = 0x10_0000;
const SELF = 0x7ff0;
const OWN_BYTES = 4 << 20;
const MEMORY_OP = 12;
const HVM_OP = 34;
const EVTCHN = 32;
const NOWHERE = 0x4000_0000;

function guest() {
  const whole = testPlatform();
  // The last 4 MiB of the test machine are the hypervisor's.
  const platform: Platform = { ...whole, memoryBytes: whole.ram.bytes - OWN_BYTES };
  const attached = xenPvh.attach(platform, '4.17');
  const { border, noticed } = attached;
  const { state } = platform.cpu;
  state.set('cr0', CR0_PE);
  state.set('codeMode', 64);
  const call = (number: number, ...args: number[]): number => {
    [7, 6, 2, 10, 8].forEach((register, n) => {
      state.setGpr(register, BigInt.asUintN(64, BigInt(args[n] ?? 0)));
    });
    for (let turn = 0; turn < 1000; turn++) {
      state.setGpr(0, BigInt(number));
      const before = state.getVa('rip');
      border.hypercall('vmcall');
      if (state.getVa('rip') === before) break;
      state.setVa('rip', before);
    }
    return Number(BigInt.asIntN(64, state.gpr(0)));
  };
  const put = <F extends XenFields>(
    type: XenStruct<F>,
    patch: StructPatch<Narrow<F>>,
    at = ARG,
  ) => {
    const bytes = new Uint8Array(type.wide.size);
    type.wide.write(new DataView(bytes.buffer), 0, patch);
    platform.ram.write(at, bytes);
    return at;
  };
  const get = <F extends XenFields>(type: XenStruct<F>, at = ARG) =>
    type.wide.read(new DataView(platform.ram.read(at, type.wide.size)!.buffer), 0)!;
  return { platform, attached, ram: platform.ram, border, noticed, state, call, put, get };
}

describe('CPUID', () => {
  it('has the signature, the version, the MSR and the features of an HVM guest', () => {
    const { border } = guest();
    const leaf = (n: number, sub = 0) => {
      const out = new Uint32Array(4);
      border.cpuid(0x40000000 + n, sub, out);
      return [...out];
    };
    expect(leaf(0)).toEqual([0x40000005, 0x566e6558, 0x65584d4d, 0x4d4d566e]);
    expect(leaf(1)[0]).toBe(0x40011);
    expect(leaf(2).slice(0, 2)).toEqual([1, 0x40000000]);
    expect(leaf(3)).toEqual([0, 0, 1_000_000, 1]);
    expect(leaf(4)).toEqual([0x5c, 0, expect.any(Number), 0]);
  });
});

describe('a call', () => {
  it('is for CPL 0 in protected mode: -EPERM otherwise, whatever is asked', () => {
    const { call, state, noticed } = guest();
    state.set('cpl', 3);
    expect([call(17, 0), call(99)]).toEqual([-1, -1]);
    state.set('cpl', 0);
    state.set('cr0', 0);
    expect([call(17, 0), noticed()]).toEqual([-1, false]);
    state.set('cr0', CR0_PE);
    expect([call(17, 0), noticed()]).toEqual([0x40011, true]);
  });

  it('of PV guests only is -ENOSYS', () => {
    const { call } = guest();
    for (const number of [0, 1, 2, 3, 4, 5, 10, 14, 23, 25, 30])
      expect(call(number, ARG)).toBe(-38);
  });

  it('of mmuext_op is refused: -EINVAL for itself, -EPERM for the control domain, -ESRCH for nobody', () => {
    const { call } = guest();
    const about = (domain: number) => call(26, ARG, 0, 0, domain);
    expect([about(0x7ff0), about(0), about(0x123)]).toEqual([-22, -1, -3]);
  });

  it('of vm_assist takes VMASST_TYPE_runstate_update_flag only; whenever the guest looks, no update is under way', () => {
    const { call, put, get } = guest();
    const assist = (cmd: number, type: number) => call(21, cmd, type);
    expect([assist(0, 4), assist(2, 4), assist(2, 5)]).toEqual([-22, -22, -38]);
    expect([assist(0, 5), assist(1, 5), assist(0, 5)]).toEqual([0, 0, 0]);
    put(vcpu.vcpuRegisterArea, { p: 0x11_0000 });
    expect(call(24, 5, 0, ARG)).toBe(0);
    const { state, state_entry_time } = get(vcpu.vcpuRunstateInfo, 0x11_0000);
    expect([state, state_entry_time]).toEqual([vcpu.RUNSTATE_running, 0]);
  });

  it('can be made through the hypercall page, which an MSR fills', () => {
    const { border, ram } = guest();
    expect(border.wrmsr(0x40000000, 0x30_0000, 0)).toBe(true);
    expect([...ram.read(0x30_0000 + 17 * 32, 9)!]).toEqual([
      0xb8, 17, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3,
    ]);
    expect([...ram.read(0x30_0000 + 23 * 32, 2)!]).toEqual([0x0f, 0x0b]);
    expect([border.wrmsr(0x40000000, 0x30_0001, 0), border.wrmsr(0x40000000, 0, 1)]).toEqual([
      false,
      false,
    ]);
  });
});

describe('hvm_op', () => {
  const param = (g: ReturnType<typeof guest>, op: number, index: number, domid = SELF, lo = 0) =>
    g.call(HVM_OP, op, g.put(hvm.hvmParam, { domid, index, value: { lo, hi: 0 } }));

  it("HVMOP_get_param tells of rings and ports, HVMOP_set_param takes what is the guest's", () => {
    const g = guest();
    for (const index of [1, 2, 17, 18]) {
      expect(param(g, 1, index)).toBe(0);
      expect(g.get(hvm.hvmParam).value.lo).toBeGreaterThan(0);
    }
    expect([
      param(g, 0, 17),
      param(g, 0, 5),
      param(g, 1, 5),
      param(g, 1, 39),
      param(g, 0, 39),
    ]).toEqual([-1, -1, -1, -22, -22]);
    expect([
      param(g, 0, 0, 0),
      param(g, 1, 0, 9),
      g.call(HVM_OP, 0, NOWHERE),
      g.call(HVM_OP, 1, NOWHERE),
    ]).toEqual([-22, -3, -14, -14]);
    // Ports may be set; the S state may not, and numbers without a meaning are another error.
    expect([param(g, 0, 2, SELF, 77), param(g, 0, 14), param(g, 1, 14), param(g, 1, 20)]).toEqual([
      0, -1, -1, -22,
    ]);
    expect([param(g, 0, 36, SELF, 4), param(g, 0, 36, SELF, 5), param(g, 0, 19, SELF, 1)]).toEqual([
      0, -22, -19,
    ]);
  });

  it('HVMOP_set_param with a TSS that is too small is the end', () => {
    const g = guest();
    const value = { lo: 0x1000, hi: 104 };
    const set = (patch: { lo: number; hi: number }) =>
      g.call(HVM_OP, 0, g.put(hvm.hvmParam, { domid: SELF, index: 37, value: patch }));
    expect([set(value), param(g, 1, 15), g.get(hvm.hvmParam).value]).toEqual([
      0,
      0,
      { lo: 0x1000, hi: 0 },
    ]);
    expect(set({ lo: 0x1000, hi: 103 })).toBe(-22);
    const { shutdownReason } = g.platform.snapshots.save().slots.xen as { shutdownReason: number };
    expect(shutdownReason).toBe(3);
  });

  it("HVMOP_get_time is the machine's clock, HVMOP_get_mem_type what is there", () => {
    const { call, put, get, platform } = guest();
    platform.clock.skipTo(123_456);
    expect([call(HVM_OP, 10, ARG), get(hvm.hvmGetTime).now]).toEqual([0, 123_456]);
    const type = (pfn: number) => {
      expect(call(HVM_OP, 15, put(hvm.hvmGetMemType, { domid: SELF, pfn }))).toBe(0);
      return get(hvm.hvmGetMemType).mem_type;
    };
    expect([type(5), type(0x10_0000)]).toEqual([hvm.HVMMEM_ram_rw, hvm.HVMMEM_mmio_dm]);
  });

  it('HVMOP_flush_tlbs takes no argument', () => {
    const { call } = guest();
    expect([call(HVM_OP, 5, 0), call(HVM_OP, 5, ARG)]).toEqual([0, -22]);
  });

  it('HVMOP_pagetable_dying and HVMOP_altp2m are refused, HVMOP_guest_request_vm_event has no argument', () => {
    const { call } = guest();
    expect([9, 25, 24, 2, 99].map((op) => call(HVM_OP, op, ARG))).toEqual([
      -95, -95, -22, -38, -38,
    ]);
    expect([call(HVM_OP, 9, NOWHERE), call(HVM_OP, 24, 0)]).toEqual([-14, 0]);
  });

  it('HVMOP_xentrace takes an event that is none of Xen’s own, and 28 bytes', () => {
    const { call, ram } = guest();
    const trace = (event: number, bytes: number) => {
      ram.setU32(ARG, event | (bytes << 16));
      return call(HVM_OP, 11, ARG);
    };
    expect([trace(0xfff, 28), trace(0x1000, 0), trace(1, 29), call(HVM_OP, 11, NOWHERE)]).toEqual([
      0, -22, -22, -14,
    ]);
  });
});

describe('an upcall', () => {
  const event = (g: ReturnType<typeof guest>) => {
    g.call(EVTCHN, evtchn.EVTCHNOP_bind_ipi, g.put(evtchn.evtchnBindIpi, { vcpu: 0 }));
    const { port } = g.get(evtchn.evtchnBindIpi);
    g.call(EVTCHN, evtchn.EVTCHNOP_send, g.put(evtchn.evtchnPort, { port }));
  };

  it('comes by the callback vector as long as it is pending', () => {
    const g = guest();
    g.call(
      HVM_OP,
      0,
      g.put(hvm.hvmParam, { domid: SELF, index: 0, value: { lo: 0xf3, hi: 0x0200_0000 } }),
    );
    expect(g.border.acknowledgeInterrupt!()).toBe(-1);
    event(g);
    expect([g.border.acknowledgeInterrupt!(), g.border.acknowledgeInterrupt!()]).toEqual([
      0xf3, 0xf3,
    ]);
  });

  it('keeps coming by that vector when a way is asked for that needs a PIC and an I/O APIC', () => {
    const g = guest();
    const callback = (type: number, lo: number) =>
      g.call(
        HVM_OP,
        0,
        g.put(hvm.hvmParam, { domid: SELF, index: 0, value: { lo, hi: type << 24 } }),
      );
    callback(2, 0xf3);
    event(g);
    for (const [type, lo] of [
      [0, 0],
      [0, 5],
      [1, 0],
      [3, 0x41],
    ] as const)
      expect([callback(type, lo), g.border.acknowledgeInterrupt!()]).toEqual([0, 0xf3]);
    expect([callback(2, 0x51), g.border.acknowledgeInterrupt!()]).toEqual([0, 0x51]);
  });

  it('that waits does not end SCHEDOP_block with interrupts off, and does with them on', () => {
    for (const on of [false, true]) {
      const g = guest();
      event(g);
      g.state.set('eflags', on ? 0x202 : 2);
      expect(g.call(29, 1, 0)).toBe(0);
      expect(g.state.get('halted')).toBe(on ? 0 : 1);
    }
  });

  it('HVMOP_set_evtchn_upcall_vector sends it through the local APIC, and keeps it while that is off', () => {
    const g = guest();
    const { lapic } = g.platform;
    g.border.mmioWrite!(0xfee000f0, 4, 0xff, 0); // Software disable (SVR bit 8).
    const vector = (v: number, vcpu = 0) =>
      g.call(HVM_OP, 23, g.put(hvm.hvmEvtchnUpcallVector, { vcpu, vector: v }));
    expect([vector(15), vector(0xf3, 1), vector(0xf3)]).toEqual([-22, -2, 0]);
    event(g);
    expect(lapic!.pending()).toBe(-1);
    g.border.mmioWrite!(0xfee000f0, 4, 0x1ff, 0);
    expect(lapic!.pending()).toBe(0xf3);
  });
});

describe('memory_op', () => {
  const reservation = (
    g: ReturnType<typeof guest>,
    op: number,
    frames: readonly number[],
    order = 0,
    domid = SELF,
  ) => {
    frames.forEach((frame, n) => {
      g.ram.setU64(ARG + 0x100 + n * 8, frame % 2 ** 32, Math.floor(frame / 2 ** 32));
    });
    const arg = {
      extent_start: ARG + 0x100,
      nr_extents: frames.length,
      extent_order: order,
      domid,
    };
    return g.call(MEMORY_OP, op, g.put(memory.memoryReservation, arg));
  };
  const count = (g: ReturnType<typeof guest>, op: number, domid = SELF) =>
    g.call(MEMORY_OP, op, g.put(memory.memoryDomain, { domid }));

  it('XENMEM_memory_map has the RAM and the reserved part behind it', () => {
    const g = guest();
    expect(
      g.call(
        MEMORY_OP,
        9,
        g.put(memory.memoryMapArgument, { nr_entries: 10, buffer: ARG + 0x100 }),
      ),
    ).toBe(0);
    const { nr_entries } = g.get(memory.memoryMapArgument);
    const last = ARG + 0x100 + (nr_entries - 1) * 20;
    expect([g.ram.u32(last), g.ram.u32(last + 16)]).toEqual([g.platform.memoryBytes, 2]);
    expect(g.call(MEMORY_OP, 9, NOWHERE)).toBe(-14);
  });

  it('XENMEM_decrease_reservation makes holes, XENMEM_populate_physmap fills them with zeros, up to the maximum', () => {
    const g = guest();
    const maximum = count(g, memory.XENMEM_maximum_reservation);
    g.ram.setU32(0x500 * 4096, 0x1234);
    expect(reservation(g, 1, [0x500, 0x501])).toBe(2);
    expect(count(g, memory.XENMEM_current_reservation)).toBe(maximum - 2);
    expect(g.platform.cpu.mmu.isRam(0x500 * 4096)).toBe(false);
    expect(reservation(g, 1, [0x500])).toBe(0);
    expect(reservation(g, 6, [0x500, 0x7777_7777, 0x10_0000])).toBe(1);
    expect([g.ram.u32(0x500 * 4096), g.platform.cpu.mmu.isRam(0x500 * 4096)]).toEqual([0, true]);
    expect(reservation(g, 6, [0x10_0000])).toBe(1);
    expect(reservation(g, 6, [0x10_0001])).toBe(0);
    expect(count(g, memory.XENMEM_maximum_gpfn)).toBe(0x10_0000);
    expect(g.call(MEMORY_OP, memory.XENMEM_maximum_ram_page)).toBeGreaterThan(0);
  });

  it('refuses other domains, orders that are too high, and XENMEM_increase_reservation gives what has been given back', () => {
    const g = guest();
    expect([reservation(g, 1, [0x500], 0, 0), reservation(g, 1, [0x500], 0, 9)]).toEqual([0, 0]);
    expect([reservation(g, 1, [0x500], 10), reservation(g, 0, [0])]).toEqual([0, 0]);
    expect([reservation(g, 1, [0x500]), reservation(g, 0, [0])]).toEqual([1, 1]);
    expect([count(g, 3, 0), count(g, 4, 9), g.call(MEMORY_OP, 14, NOWHERE)]).toEqual([-1, -3, -14]);
  });

  it('of many extents goes on after each turn', () => {
    const g = guest();
    const frames = Array.from({ length: 600 }, (_, n) => 0x400 + n);
    expect(reservation(g, 1, frames)).toBe(600);
  });

  const add = (
    g: ReturnType<typeof guest>,
    space: number,
    idx: number,
    gpfn: number,
    domid = SELF,
  ) => g.call(MEMORY_OP, 7, g.put(memory.addToPhysmap, { domid, space, idx, gpfn }));

  it('XENMEM_add_to_physmap shows shared_info anywhere, beyond the RAM as well, and in one place', () => {
    const g = guest();
    const clock = (gfn: number) => {
      const { mmu, state } = g.platform.cpu;
      state.set('codeMode', 32); // Unpaged.
      const there = mmu.read(gfn * 4096 + 3072, 4, 'system') ? mmu.buf.getUint32(0, true) : -1;
      state.set('codeMode', 64);
      return there;
    };
    expect(add(g, 0, 0, 0x300)).toBe(0);
    expect(clock(0x300)).toBeGreaterThan(0);
    expect(add(g, 0, 0, 0x9_0000)).toBe(0);
    expect(clock(0x9_0000)).toBeGreaterThan(0);
    expect(g.platform.cpu.mmu.isRam(0x30_0000)).toBe(false);
    expect([
      add(g, 0, 1, 0x301),
      add(g, 0, 0, 2 ** 40),
      add(g, 0, 0, 0x301, 0),
      add(g, 9, 0, 0x301),
    ]).toEqual([-22, -2, -13, -22]);
  });

  it('XENMEM_add_to_physmap shows grant frames up to the 64th, moves frames of its own, and knows no foreign ones', () => {
    const g = guest();
    expect([
      add(g, 1, 0, 0x301),
      add(g, 1, 63, 0x302),
      add(g, 1, 64, 0x303),
      add(g, 1, 0x8000_0000, 0x303),
    ]).toEqual([0, 0, -22, -22]);
    g.ram.setU32(0x310 * 4096, 0x77);
    expect([
      add(g, 2, 0x310, 0x311),
      g.ram.u32(0x311 * 4096),
      add(g, 2, 0x310, 0x312),
      add(g, 4, 0, 0x312),
    ]).toEqual([0, 0x77, -22, -38]);
    expect([add(g, 5, 0, 0x312), add(g, 6, 0, 0x312)]).toEqual([-13, -22]);
  });

  it('XENMEM_add_to_physmap moves a range page by page', () => {
    const g = guest();
    g.ram.setU32(0x312 * 4096, 0x12);
    g.ram.setU32(0x410 * 4096, 0x77);
    const range = { domid: SELF, space: 3, size: 300, idx: 0x311, gpfn: 0x700 };
    expect(g.call(MEMORY_OP, 7, g.put(memory.addToPhysmap, range))).toBe(0);
    expect([g.ram.u32(0x701 * 4096), g.ram.u32(0x7ff * 4096)]).toEqual([0x12, 0x77]);
    expect([add(g, 3, 0x311, 0x900), add(g, 0, 0, 0x320)]).toEqual([0, 0]);
  });

  it('keeps what is not its own when a page is given back', () => {
    const g = guest();
    expect([add(g, 0, 0, 0x300), reservation(g, 1, [0x300])]).toEqual([0, 0]);
  });

  it('XENMEM_exchange finds nothing to exchange', () => {
    const g = guest();
    const exchange = (frame: number, order: number, domid = SELF) => {
      const one = {
        extent_start: ARG + 0x100,
        nr_extents: 1,
        extent_order: order,
        mem_flags: 0,
        domid,
      };
      g.ram.setU64(ARG + 0x100, frame, 0);
      return g.call(MEMORY_OP, 11, g.put(memory.memoryExchange, { in: one, out: one }));
    };
    expect([exchange(5, 0), exchange(0x7777_7777, 0), exchange(5, 10), exchange(5, 0, 9)]).toEqual([
      -95, -22, -1, -3,
    ]);
    expect(g.call(MEMORY_OP, 11, NOWHERE)).toBe(-14);
  });

  it('XENMEM_add_to_physmap_batch has an error for each, XENMEM_remove_from_physmap takes one away', () => {
    const g = guest();
    [0, 5].forEach((idx, n) => {
      g.ram.setU64(ARG + 0x100 + n * 8, idx, 0);
    });
    [0x320, 0x321].forEach((gpfn, n) => {
      g.ram.setU64(ARG + 0x200 + n * 8, gpfn, 0);
    });
    const batch = {
      domid: SELF,
      space: 0,
      size: 2,
      idxs: ARG + 0x100,
      gpfns: ARG + 0x200,
      errs: ARG + 0x300,
    };
    expect(g.call(MEMORY_OP, 23, g.put(memory.addToPhysmapBatch, batch))).toBe(0);
    expect([g.ram.u32(ARG + 0x300), g.ram.u32(ARG + 0x304) | 0]).toEqual([0, -22]);
    const remove = (gpfn: number) =>
      g.call(MEMORY_OP, 15, g.put(memory.removeFromPhysmap, { domid: SELF, gpfn }));
    expect([remove(0x330), remove(0x330), remove(0x7777_7777)]).toEqual([0, -2, -2]);
  });

  it('XENMEM_machine_memory_map, XENMEM_machphys_mapping and XENMEM_acquire_resource are refused, XENMEM_machphys_mfn_list is empty', () => {
    const g = guest();
    expect([10, 12, 28, 5].map((op) => g.call(MEMORY_OP, op, ARG))).toEqual([-38, -38, -13, 0]);
    expect(g.call(MEMORY_OP, 5, NOWHERE)).toBe(-14);
  });

  it('XENMEM_set_pod_target and XENMEM_get_pod_target are for the toolstack, and not for domains of another kind', () => {
    const g = guest();
    const target = (op: number, domid: number) =>
      g.call(MEMORY_OP, op, g.put(memory.podTarget, { domid }));
    expect([target(16, SELF), target(17, SELF), target(17, 0), target(16, 9)]).toEqual([
      -1, -1, -22, -3,
    ]);
  });

  it('XENMEM_set_memory_map changes what XENMEM_memory_map tells', () => {
    const g = guest();
    g.ram.setU64(ARG + 0x200, 0x1000, 0);
    const map = { nr_entries: 1, buffer: ARG + 0x200 };
    const set = (domid: number) =>
      g.call(MEMORY_OP, 13, g.put(memory.foreignMemoryMap, { domid, map }));
    expect([set(0), set(SELF)]).toEqual([-1, 0]);
    const read = { nr_entries: 10, buffer: ARG + 0x100 };
    expect(g.call(MEMORY_OP, 9, g.put(memory.memoryMapArgument, read))).toBe(0);
    expect([g.get(memory.memoryMapArgument).nr_entries, g.ram.u32(ARG + 0x100)]).toEqual([
      1, 0x1000,
    ]);
  });
});

describe('the end of a domain', () => {
  const parameter = (g: ReturnType<typeof guest>, index: number) => {
    g.call(HVM_OP, 1, g.put(hvm.hvmParam, { domid: SELF, index }));
    return g.get(hvm.hvmParam).value.lo;
  };

  it('goes on after a suspend with new ports, without what it had set up, and with its memory where shared_info was', () => {
    const g = guest();
    const place = (gpfn: number) =>
      g.call(MEMORY_OP, 7, g.put(memory.addToPhysmap, { domid: SELF, space: 0, idx: 0, gpfn }));
    const virq = () => g.call(EVTCHN, 1, g.put(evtchn.evtchnBindVirq, { virq: 0, vcpu: 0 }));
    const before = parameter(g, hvm.HVM_PARAM_STORE_PFN);
    place(0x300);
    const value = { lo: 0xf3, hi: 2 << 24 };
    g.call(HVM_OP, 0, g.put(hvm.hvmParam, { domid: SELF, index: 0, value }));
    expect([virq(), g.get(evtchn.evtchnBindVirq).port, virq()]).toEqual([0, 3, -17]);
    g.ram.setU32(ARG, 2);
    expect(g.call(29, 2, ARG)).toBe(0);
    expect([0, 1, 2, 17, 18].map((index) => parameter(g, index))).toEqual([
      ...[0, before, 1, before + 1, 2],
    ]);
    expect(g.platform.cpu.mmu.isRam(0x30_0000)).toBe(true);
    expect([virq(), g.get(evtchn.evtchnBindVirq).port]).toEqual([0, 3]);
    expect(place(0x300)).toBe(0);
  });

  it.each([
    ['a halt with interrupts off', (g: ReturnType<typeof guest>) => g.attached.dead!(), 0],
    ['a triple fault', (g: ReturnType<typeof guest>) => g.attached.tripleFault!('fault'), 1],
  ])('has its reason: %s', (_what, end, reason) => {
    const g = guest();
    end(g);
    const { shutdownReason } = g.platform.snapshots.save().slots.xen as { shutdownReason: number };
    expect(shutdownReason).toBe(reason);
  });
});
