// ACPI power management: PM1a event and control blocks, the PM timer, SCI, power button, S5.

import { type Clock, NEVER } from '../clock.ts';
import { defineDevice, type Line } from '../device.ts';
import { nanosToTicks, PM_TIMER_HZ, ticksToNanos } from '../frequency.ts';
import type { PowerSwitch } from '../power.ts';

/** Offsets in the block of 16 ports; the FADT tells the guest. */
export const PM = { event: 0, enable: 2, control: 4, timer: 8, length: 16 } as const;
/** SLP_TYP of S5, announced by \_S5. */
export const SLEEP_TYPE_S5 = 5;

const STATUS = { timer: 0x0001, busMaster: 0x0010, global: 0x0020, powerButton: 0x0100 } as const;
/** Status bits that exist, and those of them that can raise the SCI (ACPI 6.4 4.8.3.1). */
const STATUS_BITS = 0x8731;
const ENABLE_BITS = 0x0721;
const CONTROL = { sciEnabled: 0x0001, globalRelease: 0x0004, sleepEnable: 0x2000 } as const;
const CONTROL_WRITABLE = 0x1c02;

export interface AcpiPmState {
  status: number;
  enable: number;
  control: number;
  /** Toggles of the timer's top bit that the status bit has seen. */
  togglesSeen: number;
}

export interface AcpiPmFace {
  powerButton(): void;
}

export interface AcpiPmNeeds {
  readonly sci: Line;
  readonly clock: Clock;
  readonly power: PowerSwitch;
  /** Width of the PM timer; TMR_VAL_EXT in the FADT says 32. */
  readonly timerBits: 24 | 32;
}

/** SCI_EN is always set: there is no SMM, so the FADT has no SMI command port (ACPI 6.4 4.8.2.5). */
export const acpiPm = defineDevice({
  name: 'acpi-pm',
  ref: 'ACPI 6.4 4.8.3',
  claims: { pio: [[0x600, PM.length]], irq: 9 },
  state: (): AcpiPmState => ({ status: 0, enable: 0, control: 0, togglesSeen: 0 }),
  plug({ state, sci, clock, power, timerBits }: { state: AcpiPmState } & AcpiPmNeeds) {
    const half = 2 ** (timerBits - 1);
    const ticks = () => nanosToTicks(PM_TIMER_HZ, clock.now());
    const timer = clock.timer('acpi-pm', () => update());
    const update = () => {
      const passed = ticks();
      const toggles = (passed - (passed % half)) / half;
      if (toggles > state.togglesSeen) {
        state.togglesSeen = toggles;
        state.status |= STATUS.timer;
      }
      sci.set((state.status & state.enable & ENABLE_BITS) !== 0);
      // The next toggle is an event only while it would set a bit that somebody wants.
      const wanted = (state.enable & ~state.status & STATUS.timer) !== 0;
      timer.set(wanted ? ticksToNanos(PM_TIMER_HZ, (toggles + 1) * half) : NEVER);
    };
    const writeControl = (value: number) => {
      state.control = value & CONTROL_WRITABLE;
      if ((value & CONTROL.globalRelease) !== 0) state.status |= STATUS.global; // No firmware takes the other side.
      if ((value & CONTROL.sleepEnable) === 0) return;
      if (((value >> 10) & 7) === SLEEP_TYPE_S5) power.off('ACPI: sleep type S5');
    };
    /** Registers are 16 bits, the timer 32; any part of them may be read. */
    const word = (offset: number): number => {
      switch (offset) {
        case PM.event:
          update();
          return state.status;
        case PM.enable:
          return state.enable;
        case PM.control:
          return state.control | CONTROL.sciEnabled;
        case PM.timer:
          return (ticks() % 2 ** timerBits) & 0xffff;
        case PM.timer + 2:
          return Math.floor((ticks() % 2 ** timerBits) / 0x10000);
        default:
          return 0;
      }
    };
    const read = (offset: number, bytes: number): number => {
      if (bytes === 1) return (word(offset & ~1) >> ((offset & 1) * 8)) & 0xff;
      if (offset === PM.timer && bytes === 4) return ticks() % 2 ** timerBits;
      if ((offset & 1) !== 0) return read(offset, 1) | (read(offset + 1, bytes - 1) << 8);
      return bytes === 2 ? word(offset) : word(offset) + word(offset + 2) * 0x10000;
    };
    /** Whole words only reach here: bytes are merged first. */
    const writeWord = (offset: number, value: number) => {
      if (offset === PM.event) state.status &= ~(value & STATUS_BITS);
      else if (offset === PM.enable) state.enable = value & ENABLE_BITS;
      else if (offset === PM.control) writeControl(value);
      update();
    };
    const writeByte = (offset: number, value: number) => {
      const at = offset & ~1;
      const shift = (offset & 1) * 8;
      // Status is write-1-to-clear, so the other byte must be zero; elsewhere it keeps its value.
      const other = at === PM.event ? 0 : at === PM.enable ? state.enable : state.control;
      writeWord(at, (other & (0xff00 >> shift)) | (value << shift));
    };
    const write = (offset: number, value: number, bytes: number): void => {
      if (bytes === 1) {
        update();
        writeByte(offset, value);
        return;
      }
      if ((offset & 1) !== 0) {
        for (let i = 0; i < bytes; i++) writeByte(offset + i, (value >>> (8 * i)) & 0xff);
        return;
      }
      update();
      writeWord(offset, value & 0xffff);
      if (bytes === 4) writeWord(offset + 2, value >>> 16);
    };
    const face: AcpiPmFace = {
      powerButton() {
        state.status |= STATUS.powerButton;
        update();
      },
    };
    return { pio: [{ wide: true, read, write }], face };
  },
});
