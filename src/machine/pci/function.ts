// One PCI function in its slot: configuration accesses, BARs that follow the command register, INTx and messages.

import type { MmioWindow, PioWindow } from '../bus.ts';
import type { RamLink } from '../ram-link.ts';
import { COMMAND, CONFIG, type ConfigLayout, STATUS } from './config-space.ts';
import type { CapabilityHooks, PciBarShape, PciPlugged, PciPort } from './define.ts';
import { MSIX_CONTROL, Msix, type MsixState, type SendMessage } from './msix.ts';

/** Memory below this may hold BARs: above lie the interrupt controllers, the HPET and the ROM. */
const LOW_MEMORY_END = 0xfec00000;
const MSI = { control: 2, addressLow: 4, addressHigh: 8, data: 12 } as const;
const MSI_ENABLED = 1;
const MSIX_CONTROL_AT = 2;

/** Plain state of the slot. */
export interface FunctionState {
  config: Uint8Array;
  msix: MsixState;
  /** What the device drives its pin to. */
  pin: boolean;
}

export interface FunctionParts {
  readonly layout: ConfigLayout;
  readonly state: FunctionState;
  readonly ram: RamLink;
  readonly send: SendMessage;
  /** The level on the bus may have changed. */
  pinChanged(): void;
}

interface Mapped {
  readonly shape: PciBarShape;
  readonly io?: PioWindow;
  readonly memory?: MmioWindow;
  /** Where it answers now; -1: nowhere. */
  at: number;
}

export class PciFunction {
  readonly state: FunctionState;
  readonly port: PciPort;
  readonly msix: Msix;
  private readonly parts: FunctionParts;
  private readonly view: DataView;
  private mapped: readonly Mapped[] = [];
  private plugged: PciPlugged<unknown> = { face: null };

  constructor(parts: FunctionParts) {
    this.parts = parts;
    this.state = parts.state;
    const { config } = parts.state;
    this.view = new DataView(config.buffer, config.byteOffset, config.byteLength);
    const control = parts.layout.msix + MSIX_CONTROL_AT;
    this.msix = new Msix(
      parts.state.msix,
      () => (parts.layout.msix === 0 ? 0 : this.view.getUint16(control, true)),
      (lo, hi, data) => this.message(lo, hi, data),
    );
    this.port = {
      setInterrupt: (level) => this.setPin(level),
      interrupt: (vector) => this.interrupt(vector),
      messagesEnabled: () => this.messagesEnabled(),
      busMaster: () => (this.command() & COMMAND.master) !== 0,
      ram: () => parts.ram.ram(),
      capability: (n) => this.capability(n),
    };
  }

  /** The device is plugged in and its BARs have their windows. */
  complete(plugged: PciPlugged<unknown>, bars: readonly Omit<Mapped, 'at'>[]): void {
    this.plugged = plugged;
    this.mapped = bars.map((bar) => ({ ...bar, at: -1 }));
  }

  /** Whether INTx is asserted on the bus. */
  asserted(): boolean {
    return (
      this.state.pin && (this.command() & COMMAND.noInterrupt) === 0 && !this.messagesEnabled()
    );
  }

  read(offset: number, bytes: number): number {
    this.eachCapability(offset, bytes, (hooks, live, at) => hooks.beforeRead?.(live, at, bytes));
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= this.byte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, value: number, bytes: number): void {
    const { config } = this.state;
    const { writable, msi, msix } = this.parts.layout;
    for (let i = 0; i < bytes; i++) {
      const mask = writable[offset + i]!;
      config[offset + i] = (config[offset + i]! & ~mask) | ((value >>> (8 * i)) & mask);
    }
    const touches = (at: number, length: number) => offset < at + length && at < offset + bytes;
    if (touches(CONFIG.command, 2) || touches(CONFIG.bar, 24)) this.place();
    const messages =
      (msi !== 0 && touches(msi, 4)) ||
      (msix !== 0 && touches(msix, 4)) ||
      touches(CONFIG.command, 2);
    if (messages) this.messagesChanged();
    this.eachCapability(offset, bytes, (hooks, live, at) => hooks.written?.(live, at, bytes));
    if (offset + bytes > CONFIG.own || touches(CONFIG.command, 2)) {
      this.plugged.configWritten?.(config);
    }
  }

  restored(): void {
    this.place();
    this.plugged.configWritten?.(this.state.config);
    this.plugged.restored?.();
    this.parts.pinChanged();
  }

  private byte(offset: number): number {
    const stored = this.state.config[offset]!;
    return offset === CONFIG.status && this.state.pin ? stored | STATUS.interrupt : stored;
  }

  private command(): number {
    return this.view.getUint16(CONFIG.command, true);
  }

  private setPin(level: boolean): void {
    if (this.state.pin === level) return;
    this.state.pin = level;
    this.parts.pinChanged();
  }

  private messagesEnabled(): boolean {
    return this.msix.enabled() || this.msiEnabled();
  }

  private msiEnabled(): boolean {
    const { msi } = this.parts.layout;
    return msi !== 0 && (this.view.getUint16(msi + MSI.control, true) & MSI_ENABLED) !== 0;
  }

  private interrupt(vector: number): void {
    if (this.msix.enabled()) {
      this.msix.interrupt(vector);
      return;
    }
    if (!this.msiEnabled()) return;
    const { msi } = this.parts.layout;
    // The low bits of the data are the number of the message (PCI 3.0 6.8.1.6).
    const messages = 1 << ((this.view.getUint16(msi + MSI.control, true) >> 4) & 7);
    const data = this.view.getUint16(msi + MSI.data, true);
    this.message(
      this.view.getUint32(msi + MSI.addressLow, true),
      this.view.getUint32(msi + MSI.addressHigh, true),
      (data & -messages) | (vector & (messages - 1)),
    );
  }

  /** A message is a write by the function: without bus mastering there is none. */
  private message(lo: number, hi: number, data: number): void {
    if ((this.command() & COMMAND.master) !== 0) this.parts.send(lo, hi, data);
  }

  private messagesChanged(): void {
    const { msix } = this.parts.layout;
    if (this.msix.enabled()) {
      const control = this.view.getUint16(msix + MSIX_CONTROL_AT, true);
      if ((control & MSIX_CONTROL.masked) === 0) this.msix.flush();
    }
    this.parts.pinChanged();
  }

  private capability(n: number): Uint8Array {
    const { at, length } = this.parts.layout.capabilities[n]!;
    return this.state.config.subarray(at, at + length);
  }

  private eachCapability(
    offset: number,
    bytes: number,
    call: (hooks: CapabilityHooks, live: Uint8Array, at: number) => void,
  ): void {
    this.plugged.capabilities?.forEach((hooks, n) => {
      const { at, length } = this.parts.layout.capabilities[n]!;
      if (hooks && offset < at + length && at < offset + bytes) {
        call(hooks, this.capability(n), offset - at);
      }
    });
  }

  /** Puts every BAR where it says, or nowhere. */
  private place(): void {
    let moved = false;
    for (const bar of this.mapped) {
      const at = this.address(bar.shape);
      if (at === bar.at) continue;
      moved = true;
      bar.at = at;
      bar.io?.place(Math.max(at, 0), at >= 0);
      bar.memory?.place(Math.max(at, 0), at >= 0);
    }
    if (moved) this.plugged.moved?.();
  }

  /** Address 0 and addresses under sizing answer nowhere; so does what would cover the chipset's own places. */
  private address({ index, kind, size }: PciBarShape): number {
    const at = CONFIG.bar + index * 4;
    const low = this.view.getUint32(at, true);
    if (kind === 'io') {
      const port = low - (low & 3);
      const on = (this.command() & COMMAND.io) !== 0 && port > 0 && port + size <= 0x10000;
      return on ? port : -1;
    }
    if ((this.command() & COMMAND.memory) === 0) return -1;
    const base = low - (low & 15);
    if (kind === 'memory64') {
      const high = this.view.getUint32(at + 4, true);
      if (high !== 0) return high < 1 << 20 ? high * 2 ** 32 + base : -1;
    }
    return base > 0 && base + size <= LOW_MEMORY_END ? base : -1;
  }
}
