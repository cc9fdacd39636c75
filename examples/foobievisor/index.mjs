// Foobievisor: a hypervisor interface that nobody has, whole: six calls, and the guest's side of them.

import {
  defineGuest,
  defineInterface,
  HARDWARE_MACHINES,
  hardwareBorder,
  hardwareEntryPoint,
  NO_EXITS,
  nativePc,
  startOfDay,
} from 'pvops';

/** The ABI: a leaf that says "FoobieFoobie", and VMCALL with a number in EAX and arguments in EDX and ECX. */
const LEAF = 0x40000000;
const SIGNATURE = [0x626f6f46, 0x6f466569, 0x6569626f]; // "Foob" "ieFo" "obie", in EBX, ECX, EDX.
const CALL = { nothing: 0, putByte: 1, time: 2, date: 3, flush: 4, off: 5 };
const EPERM = -1;
const ENOSYS = -38;
const [EAX, EDX] = [0, 2];
const HYPERVISOR_BIT = 31;
const BILLION = 1e9;

export const foobievisor = defineInterface({
  id: 'foobievisor',
  title: 'an example: hardware, and six calls',
  versions: ['1'],
  guestNeeds: ['CONFIG_FOOBIEVISOR'],
  machines: HARDWARE_MACHINES,
  policy: NO_EXITS,
  ops: manifest(),
  guest: guestSide(),
  attach(platform) {
    /** All that is not in the machine lies here, for snapshots and state hashes. */
    const state = { called: 0 };
    platform.snapshots.addState('foobievisor', state);
    const hardware = hardwareBorder(platform, { more: ['hypervisor'], less: ['constant_tsc'] });
    return {
      border: {
        ...hardware,
        cpuid(leaf, subleaf, out) {
          if (leaf >>> 0 === LEAF) out.set([LEAF, ...SIGNATURE]);
          else hardware.cpuid(leaf, subleaf, out);
        },
        hypercall() {
          state.called++;
          answer(platform);
          return true;
        },
      },
      start: (guest) => startOfDay(platform, guest),
      noticed: () => state.called > 0,
    };
  },
});

/** One call, from its number in EAX to its result there. What a guest says is never trusted further than a register. */
function answer(platform) {
  const { cpu, clock, console, power, epochSeconds, seen } = platform;
  const { state } = cpu;
  const number = state.gpr32(EAX);
  const argument = state.gpr32(EDX);
  const result = perform();
  state.setGpr32(EAX, result >>> 0);
  seen?.(nameOf(number), { argument }, result);

  function perform() {
    if (state.get('cpl') !== 0) return EPERM;
    switch (number) {
      case CALL.nothing:
        return 0;
      case CALL.putByte:
        console.transmit(argument & 0xff);
        return 0;
      case CALL.time: {
        const nanos = clock.now();
        state.setGpr32(EDX, Math.floor(nanos / 2 ** 32) >>> 0);
        return nanos >>> 0;
      }
      case CALL.date:
        return epochSeconds + Math.floor(clock.now() / BILLION);
      case CALL.flush:
        // One page, or everything: which of them an address is tells its lowest bit.
        if (argument & 1) cpu.mmu.flushAll();
        else cpu.mmu.flushPage(argument >>> 0);
        return 0;
      case CALL.off:
        power.off('the guest has called foobie_off');
        return 0;
      default:
        return ENOSYS;
    }
  }
}

function nameOf(number) {
  const found = Object.entries(CALL).find(([, value]) => value === number);
  return found ? `foobie_${found[0]}` : `foobie_${number}`;
}

/** By which calls operations are done; all others are hardware's. */
function manifest() {
  const call = (name) => [{ name: `foobie_${name}`, by: 'hypercall', seen: 'exit' }];
  return {
    operations: {
      'time.sched_clock': call('time'),
      'time.get_wallclock': call('date'),
      'mmu.flush_tlb_single': call('flush'),
      'mmu.flush_tlb_kernel': call('flush'),
      'machine.power_off': call('off'),
    },
    others: [...call('nothing'), ...call('putByte')],
    rest: hardwareEntryPoint,
  };
}

/** The guest's side: how a kernel finds us, and what it does instead of what it would do on hardware. */
function guestSide() {
  const call = (number, rest = '') => ({
    emit: (code) => code.text(`mov eax, ${number}; vmcall; ${rest}`),
    by: nameOf(number),
  });
  return defineGuest({
    ...nativePc,
    id: 'foobievisor',
    detect(code) {
      const [no, done] = [code.fresh('no'), code.fresh('done')];
      code.text(`mov eax, 1; cpuid; bt ecx, ${HYPERVISOR_BIT}; jae ${no}; mov eax, ${LEAF}; cpuid`);
      ['ebx', 'ecx', 'edx'].forEach((register, n) => {
        code.text(`cmp ${register}, ${SIGNATURE[n]}; jne ${no}`);
      });
      code.text(`mov eax, 1; jmp ${done}; ${no}:; xor eax, eax; ${done}:`);
    },
    operations: {
      'time.sched_clock': call(CALL.time),
      'time.get_wallclock': call(CALL.date),
      'mmu.flush_tlb_single': {
        emit: (code) => code.text(`mov {dx}, {ax}; and edx, -4096; mov eax, ${CALL.flush}; vmcall`),
        by: nameOf(CALL.flush),
      },
      'mmu.flush_tlb_kernel': {
        emit: (code) => code.text(`mov edx, 1; mov eax, ${CALL.flush}; vmcall`),
        by: nameOf(CALL.flush),
      },
      'cpu.io_delay': { emit: () => {} },
      'machine.power_off': call(CALL.off),
    },
    cannot: {},
    console: { emit: (code) => code.text(`movzx edx, al; mov eax, ${CALL.putByte}; vmcall`) },
    nullCall: call(CALL.nothing),
    badCall: { ...call(0x7777), answer: ENOSYS >>> 0 },
  });
}
