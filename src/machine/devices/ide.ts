// One IDE channel with up to two ATA disks, by PIO: registers, data port, and commands that take guest time.

import type { Clock } from '../clock.ts';
import { defineDevice, FLOATING, type Line, type PioHandler } from '../device.ts';
import { type Disk, diskNanos, SECTOR_BYTES } from '../disk.ts';
import { type Geometry, geometryOf, identify, MULTIPLE_MAX } from './ide-drive.ts';

const REG = { data: 0, error: 1, count: 2, low: 3, mid: 4, high: 5, device: 6, status: 7 } as const;
const STATUS = { err: 0x01, drq: 0x08, seek: 0x10, ready: 0x40, busy: 0x80 } as const;
const READY = STATUS.ready | STATUS.seek;
const ERROR = { abort: 0x04, idNotFound: 0x10 } as const;
const CONTROL = { noInterrupt: 0x02, reset: 0x04, previous: 0x80 } as const;
const DEVICE = { second: 0x10, lba: 0x40, obsolete: 0xa0 } as const;
const RESET_NANOS = 1_000_000;
/** A command without data. */
const SHORT_NANOS = 20_000;
const BUFFER_BYTES = MULTIPLE_MAX * SECTOR_BYTES;

export interface DriveState {
  multiple: number;
  cylinders: number;
  heads: number;
  sectors: number;
}

export interface IdeState {
  /** Register values, and the ones written before them: 48-bit commands take both (ATA/ATAPI-6 6.20). */
  registers: Uint8Array;
  previous: Uint8Array;
  control: number;
  status: number;
  error: number;
  interrupt: boolean;
  /** What is under way: `write` waits for data or works on it, `done` and `reset` only for time. */
  phase: 'idle' | 'read' | 'write' | 'done' | 'reset';
  lba: number;
  /** Sectors that have not been moved to or from the buffer yet. */
  remaining: number;
  perBlock: number;
  buffer: Uint8Array;
  at: number;
  filled: number;
  drives: DriveState[];
}

export interface IdeNeeds {
  readonly name: string;
  readonly irq: Line;
  readonly clock: Clock;
  /** Device 0 and device 1. */
  readonly disks: readonly (Disk | null)[];
}

/** Where a PC has its two channels. */
export const IDE_PRIMARY = { command: 0x1f0, control: 0x3f6, irq: 14 } as const;
export const IDE_SECONDARY = { command: 0x170, control: 0x376, irq: 15 } as const;

export const ideChannel = defineDevice({
  name: 'ide-channel',
  ref: 'ATA/ATAPI-6 (T13/1410D)',
  claims: {
    pio: [
      [IDE_PRIMARY.command, 8],
      [IDE_PRIMARY.control, 1],
    ],
    irq: IDE_PRIMARY.irq,
  },
  state: (): IdeState => ({
    registers: new Uint8Array(8),
    previous: new Uint8Array(8),
    control: 0,
    status: 0,
    error: 0,
    interrupt: false,
    phase: 'idle',
    lba: 0,
    remaining: 0,
    perBlock: 1,
    buffer: new Uint8Array(BUFFER_BYTES),
    at: 0,
    filled: 0,
    drives: [0, 1].map(() => ({ multiple: 0, cylinders: 0, heads: 0, sectors: 0 })),
  }),
  plug(given: { state: IdeState } & IdeNeeds) {
    const channel = new Channel(given);
    const registers: PioHandler = {
      wide: true,
      read: (offset, bytes) =>
        bytes === 1 ? channel.read(offset) : channel.readWide(offset, bytes),
      write(offset, value, bytes) {
        if (bytes === 1) channel.write(offset, value);
        else channel.writeWide(offset, value, bytes);
      },
    };
    const control: PioHandler = {
      read: () => channel.alternateStatus(),
      write: (_offset, value) => channel.writeControl(value),
    };
    return { pio: [registers, control], face: {} };
  },
});

class Channel {
  private readonly state: IdeState;
  private readonly given: IdeNeeds;
  private readonly timer: ReturnType<Clock['timer']>;

  constructor(given: { state: IdeState } & IdeNeeds) {
    this.state = given.state;
    this.given = given;
    this.timer = given.clock.timer(given.name, () => this.due());
    given.disks.forEach((disk, n) => {
      if (disk) Object.assign(this.state.drives[n]!, geometryOf(disk));
    });
    this.signature();
    if (!this.empty()) this.state.status = READY;
  }

  read(offset: number): number {
    const { state } = this;
    if (this.empty()) return FLOATING;
    if (offset === REG.data) return this.takeData(1);
    if (offset === REG.status) {
      state.interrupt = false;
      this.update();
      return this.alternateStatus();
    }
    if (!this.disk()) return 0; // Device 0 answers for a device 1 that is not there (ATA/ATAPI-6 9.16.1).
    if ((state.status & STATUS.busy) !== 0) return state.status;
    if (offset === REG.error) return state.error;
    if (offset === REG.device) return state.registers[offset]! | DEVICE.obsolete;
    const old = (state.control & CONTROL.previous) !== 0;
    return (old ? state.previous : state.registers)[offset]!;
  }

  alternateStatus(): number {
    if (this.empty()) return FLOATING;
    return this.disk() ? this.state.status : 0;
  }

  readWide(offset: number, bytes: number): number {
    if (offset === REG.data && !this.empty()) return this.takeData(bytes);
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= this.read(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, value: number): void {
    const { state } = this;
    if (this.empty()) return;
    if (offset === REG.data) return this.putData(value, 1);
    if ((state.status & STATUS.busy) !== 0) return;
    state.control &= ~CONTROL.previous;
    if (offset === REG.status) {
      if (this.disk()) this.command(value);
      return;
    }
    state.previous[offset] = state.registers[offset]!;
    state.registers[offset] = value;
  }

  writeWide(offset: number, value: number, bytes: number): void {
    if (offset === REG.data && !this.empty()) return this.putData(value, bytes);
    for (let i = 0; i < bytes; i++) this.write(offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** SRST holds the devices in reset while it is set (ATA/ATAPI-6 9.2). */
  writeControl(value: number): void {
    const { state } = this;
    if (this.empty()) return;
    const before = state.control;
    state.control = value;
    if ((value & CONTROL.reset) !== 0) {
      this.abandon();
      state.status = STATUS.busy;
      state.interrupt = false;
    } else if ((before & CONTROL.reset) !== 0) {
      state.phase = 'reset';
      this.timer.set(this.given.clock.now() + RESET_NANOS);
    }
    this.update();
  }

  private empty(): boolean {
    return !this.given.disks[0] && !this.given.disks[1];
  }

  private selected(): number {
    return (this.state.registers[REG.device]! & DEVICE.second) === 0 ? 0 : 1;
  }

  private disk(): Disk | null {
    return this.given.disks[this.selected()] ?? null;
  }

  private update(): void {
    const { state } = this;
    this.given.irq.set(state.interrupt && (state.control & CONTROL.noInterrupt) === 0);
  }

  private raise(): void {
    this.state.interrupt = true;
    this.update();
  }

  private abandon(): void {
    const { state } = this;
    this.timer.cancel();
    state.phase = 'idle';
    state.remaining = state.at = state.filled = 0;
  }

  /** ATA/ATAPI-6 9.12: what a device that is no packet device leaves in its registers. */
  private signature(): void {
    const { registers, previous } = this.state;
    registers.set([0, 0, 1, 1, 0, 0, 0, 0]);
    previous.fill(0);
    this.state.error = 0x01; // Device 0 passed, device 1 passed or is absent.
  }

  private due(): void {
    const { state } = this;
    switch (state.phase) {
      case 'idle':
        return;
      case 'reset':
        state.drives.forEach((drive) => {
          drive.multiple = 0;
        });
        this.signature();
        state.phase = 'idle';
        state.status = READY;
        return;
      case 'done':
        return this.finish();
      case 'read':
        return this.readBlock();
      case 'write':
        return this.writtenBlock();
    }
  }

  private finish(): void {
    this.state.phase = 'idle';
    this.state.status = READY;
    this.raise();
  }

  private fail(error: number): void {
    const { state } = this;
    this.abandon();
    state.status = READY | STATUS.err;
    state.error = error;
    this.raise();
  }

  private wait(phase: IdeState['phase'], nanos: number): void {
    this.state.phase = phase;
    this.state.status = STATUS.busy | READY;
    this.timer.set(this.given.clock.now() + nanos);
  }

  private command(code: number): void {
    const { state } = this;
    this.abandon();
    state.interrupt = false;
    this.update();
    state.error = 0;
    const drive = state.drives[this.selected()]!;
    switch (code) {
      case 0x20: // READ SECTORS, with and without retry
      case 0x21:
        return this.transfer('read', false, 1);
      case 0x24:
        return this.transfer('read', true, 1);
      case 0xc4: // READ MULTIPLE
      case 0x29:
        return this.transfer('read', code === 0x29, drive.multiple);
      case 0x30: // WRITE SECTORS
      case 0x31:
        return this.transfer('write', false, 1);
      case 0x34:
        return this.transfer('write', true, 1);
      case 0xc5: // WRITE MULTIPLE
      case 0x39:
        return this.transfer('write', code === 0x39, drive.multiple);
      case 0x40: // READ VERIFY SECTORS
      case 0x41:
      case 0x42:
        return this.locate(code === 0x42)
          ? this.wait('done', diskNanos(0))
          : this.fail(ERROR.idNotFound);
      case 0xec:
        return this.identify(drive);
      default:
        return this.control(code, drive);
    }
  }

  /** Commands without data. */
  private control(code: number, drive: DriveState): void {
    const { registers } = this.state;
    if ((code & 0xf0) === 0x10 || (code & 0xf0) === 0x70) return this.wait('done', SHORT_NANOS); // RECALIBRATE, SEEK
    switch (code) {
      case 0x90: // EXECUTE DEVICE DIAGNOSTIC: both devices, and device 0 is selected
        this.signature();
        return this.wait('done', RESET_NANOS);
      case 0x91: // INITIALIZE DEVICE PARAMETERS
        return this.setGeometry(drive);
      case 0xc6: // SET MULTIPLE MODE: a power of two, or 0
        return this.setMultiple(drive, registers[REG.count]!);
      case 0xe5: // CHECK POWER MODE: active
        registers[REG.count] = 0xff;
        return this.wait('done', SHORT_NANOS);
      case 0xe0: // STANDBY IMMEDIATE, IDLE IMMEDIATE, STANDBY, IDLE, SLEEP: it always answers at once
      case 0xe1:
      case 0xe2:
      case 0xe3:
      case 0xe6:
        return this.wait('done', SHORT_NANOS);
      case 0xe7: // FLUSH CACHE
      case 0xea:
        this.disk()?.flush();
        return this.wait('done', diskNanos(0));
      case 0xef:
        return this.setFeatures();
      default: // also NOP (00h) and all of packet and DMA commands
        return this.fail(ERROR.abort);
    }
  }

  private setGeometry(drive: DriveState): void {
    const { registers } = this.state;
    const heads = (registers[REG.device]! & 15) + 1;
    const sectors = registers[REG.count]!;
    const total = this.disk()?.sectors ?? 0;
    if (sectors === 0 || sectors > 63 || heads * sectors > total) return this.fail(ERROR.abort);
    drive.heads = heads;
    drive.sectors = sectors;
    drive.cylinders = Math.min(Math.floor(total / (heads * sectors)), 0xffff);
    return this.wait('done', SHORT_NANOS);
  }

  private setMultiple(drive: DriveState, count: number): void {
    if (count > MULTIPLE_MAX || (count & (count - 1)) !== 0) return this.fail(ERROR.abort);
    drive.multiple = count;
    this.wait('done', SHORT_NANOS);
  }

  /** ATA/ATAPI-6 table 44. Taken: PIO transfer modes, write cache, look-ahead, power-on defaults. */
  private setFeatures(): void {
    const { registers } = this.state;
    const feature = registers[REG.error]!;
    const pio = feature === 0x03 && (registers[REG.count]! >> 3 <= 1 || registers[REG.count] === 0);
    const known = [0x02, 0x82, 0x55, 0xaa, 0x66, 0xcc].includes(feature);
    if (pio || known) this.wait('done', SHORT_NANOS);
    else this.fail(ERROR.abort);
  }

  private identify(drive: DriveState): void {
    const { state } = this;
    const current: Geometry = drive;
    state.buffer.set(identify(this.disk()!, drive.multiple, current));
    state.remaining = 0;
    state.filled = SECTOR_BYTES;
    this.wait('read', SHORT_NANOS);
  }

  private transfer(phase: 'read' | 'write', extended: boolean, perBlock: number): void {
    const { state } = this;
    if (perBlock === 0) return this.fail(ERROR.abort); // MULTIPLE before SET MULTIPLE MODE
    if (phase === 'write' && this.disk()!.readOnly) return this.fail(ERROR.abort);
    if (!this.locate(extended)) return this.fail(ERROR.idNotFound);
    state.perBlock = perBlock;
    if (phase === 'read') return this.wait('read', diskNanos(this.blockBytes()));
    state.phase = 'write';
    this.askForBlock();
  }

  /** Start and length of a command; false if they do not lie on the disk. */
  private locate(extended: boolean): boolean {
    const { state } = this;
    const now = state.registers;
    const old = state.previous;
    const byLba = (now[REG.device]! & DEVICE.lba) !== 0;
    const low = now[REG.low]! | (now[REG.mid]! << 8) | (now[REG.high]! << 16);
    state.remaining = now[REG.count]! || 256;
    if (extended) {
      state.remaining = now[REG.count]! | (old[REG.count]! << 8) || 65536;
      state.lba =
        low + (old[REG.low]! + old[REG.mid]! * 2 ** 8 + old[REG.high]! * 2 ** 16) * 2 ** 24;
    } else if (byLba) state.lba = low + (now[REG.device]! & 15) * 2 ** 24;
    else state.lba = this.fromChs();
    const fits = state.lba >= 0 && state.lba + state.remaining <= this.disk()!.sectors;
    if (!fits) state.remaining = 0;
    return fits;
  }

  private fromChs(): number {
    const { registers, drives } = this.state;
    const { heads, sectors } = drives[this.selected()]!;
    const cylinder = registers[REG.mid]! | (registers[REG.high]! << 8);
    const head = registers[REG.device]! & 15;
    const sector = registers[REG.low]!;
    if (sector === 0 || sector > sectors || head >= heads) return -1;
    return (cylinder * heads + head) * sectors + sector - 1;
  }

  private blockBytes(): number {
    return Math.min(this.state.remaining, this.state.perBlock) * SECTOR_BYTES;
  }

  private readBlock(): void {
    const { state } = this;
    if (state.remaining > 0) {
      const bytes = this.blockBytes();
      if (!this.disk()?.read(state.lba, state.buffer.subarray(0, bytes))) {
        return this.fail(ERROR.idNotFound);
      }
      state.filled = bytes;
      state.lba += bytes / SECTOR_BYTES;
      state.remaining -= bytes / SECTOR_BYTES;
    }
    state.at = 0;
    state.status = READY | STATUS.drq;
    this.raise();
  }

  private askForBlock(): void {
    const { state } = this;
    state.at = 0;
    state.filled = this.blockBytes();
    state.status = READY | STATUS.drq;
  }

  private writtenBlock(): void {
    if (this.state.remaining === 0) return this.finish();
    this.askForBlock();
    this.raise();
  }

  private takeData(bytes: number): number {
    const { state } = this;
    if ((state.status & STATUS.drq) === 0 || state.phase !== 'read') return 0;
    let value = 0;
    for (let i = 0; i < bytes && state.at < state.filled; i++) {
      value |= state.buffer[state.at++]! << (8 * i);
    }
    if (state.at === state.filled) {
      if (state.remaining > 0) this.wait('read', diskNanos(this.blockBytes()) - diskNanos(0));
      else {
        state.phase = 'idle';
        state.status = READY;
      }
    }
    return value >>> 0;
  }

  private putData(value: number, bytes: number): void {
    const { state } = this;
    if ((state.status & STATUS.drq) === 0 || state.phase !== 'write') return;
    for (let i = 0; i < bytes && state.at < state.filled; i++) {
      state.buffer[state.at++] = (value >>> (8 * i)) & 0xff;
    }
    if (state.at < state.filled) return;
    if (!this.disk()?.write(state.lba, state.buffer.subarray(0, state.filled))) {
      return this.fail(ERROR.abort);
    }
    const count = state.filled / SECTOR_BYTES;
    state.lba += count;
    state.remaining -= count;
    this.wait(
      'write',
      state.remaining === 0 ? diskNanos(state.filled) : diskNanos(state.filled) - diskNanos(0),
    );
  }
}
