// ACPI tables of a machine with one I/O APIC and fixed power management ports: RSDP to DSDT, laid out and summed.

import { PM, SLEEP_TYPE_S5 } from '../devices/acpi-pm.ts';
import {
  type Aml,
  device,
  eisaId,
  fixedMemory,
  integer,
  ioPorts,
  isaIrq,
  join,
  name,
  pack,
  resources,
  scope,
  text,
} from './aml.ts';
import { ByteList, checksum } from './bytes.ts';
import type { FirmwareFacts, PlacedTable } from './facts.ts';
import { hostBridge, interruptModel } from './pci-host.ts';

/** The guest searches 0xe0000..0xfffff on 16-byte steps (ACPI 6.4 5.2.5.1). */
export const RSDP_ADDRESS = 0xe0000;
const FIRST_TABLE = RSDP_ADDRESS + 0x40;
const HEADER = 36;
const OEM = 'PVOPS';
const CREATOR = 'PVOP';

/** FADT: Fixed ACPI Description Table flags (ACPI 6.4 table 5.10). */
const FADT_FLAGS = {
  wbinvd: 1 << 0,
  c1: 1 << 2,
  noSleepButton: 1 << 5,
  noFixedRtcWake: 1 << 6,
  timer32: 1 << 8,
  resetRegister: 1 << 10,
} as const;
/** Boot architecture flags (table 5.11): ISA devices, an 8042, no VGA; bit 5 clear: there is an RTC. */
const BOOT_ARCHITECTURE = { legacy: 0x0001, keyboard: 0x0002, noVga: 0x0004 } as const;
const RESET_VALUE = 0x06;
const CENTURY_REGISTER = 0x32;
/** MPS INTI flags: active high, level-triggered (table 5.26). */
const LEVEL_ACTIVE_HIGH = 0x0d;

/** All tables, the RSDP first, at `RSDP_ADDRESS` and the others from `first` on. */
export function acpiTables(facts: FirmwareFacts, first = FIRST_TABLE): readonly PlacedTable[] {
  const placed: PlacedTable[] = [];
  let next = first;
  const place = (tableName: string, bytes: Uint8Array): number => {
    const address = next;
    placed.push({ name: tableName, address, bytes });
    next = Math.ceil((address + bytes.length) / 64) * 64; // FACS must be aligned to 64 bytes; the others may.
    return address;
  };
  const add = (signature: string, revision: number, body: Uint8Array) =>
    place(signature, table(facts, signature, revision, body));
  const facs = place('FACS', facsTable());
  const dsdt = add('DSDT', 2, dsdtBody(facts));
  const listed = [add('FACP', 6, fadtBody(facts, facs, dsdt)), add('APIC', 4, madtBody(facts))];
  if (facts.hpetBase !== undefined) listed.push(add('HPET', 1, hpetBody(facts.hpetBase)));
  const short = new ByteList();
  const long = new ByteList();
  for (const address of listed) {
    short.u32(address);
    long.u64(address);
  }
  const rsdt = add('RSDT', 1, short.done());
  const xsdt = add('XSDT', 1, long.done());
  return [{ name: 'RSDP', address: RSDP_ADDRESS, bytes: rsdp(rsdt, xsdt) }, ...placed];
}

/** ACPI 6.4 5.2.5.3: the first checksum covers 20 bytes, the second all 36. */
export function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const bytes = new ByteList()
    .text('RSD PTR ', 8)
    .u8(0)
    .text(OEM, 6)
    .u8(2)
    .u32(rsdt)
    .u32(36)
    .u64(xsdt)
    .zeros(4)
    .done();
  bytes[8] = checksum(bytes, 0, 20);
  bytes[32] = checksum(bytes);
  return bytes;
}

/** ACPI 6.4 5.2.6: the header that all other tables share. */
export function table(
  facts: Pick<FirmwareFacts, 'model'>,
  signature: string,
  revision: number,
  body: Uint8Array,
): Uint8Array {
  const bytes = new ByteList()
    .text(signature, 4)
    .u32(HEADER + body.length)
    .u8(revision, 0)
    .text(OEM, 6)
    .text(facts.model, 8)
    .u32(1)
    .text(CREATOR, 4)
    .u32(1)
    .bytes(body)
    .done();
  bytes[9] = checksum(bytes);
  return bytes;
}

/** ACPI 6.4 5.2.10: no header, no checksum. */
function facsTable(): Uint8Array {
  return new ByteList().text('FACS', 4).u32(64).zeros(24).u8(2).zeros(31).done();
}

/** ACPI 6.4 table 5.9, from offset 36 on. */
function fadtBody(facts: FirmwareFacts, facs: number, dsdt: number): Uint8Array {
  const { pmBase } = facts;
  const flags =
    FADT_FLAGS.wbinvd |
    FADT_FLAGS.c1 |
    FADT_FLAGS.noSleepButton |
    FADT_FLAGS.noFixedRtcWake |
    FADT_FLAGS.timer32 |
    FADT_FLAGS.resetRegister;
  const none = new Uint8Array(12);
  return new ByteList()
    .u32(facs)
    .u32(dsdt)
    .u8(0, 0) // reserved; preferred profile: unspecified
    .u16(facts.sciIrq)
    .u32(0) // no SMI command port: ACPI is always on
    .u8(0, 0, 0, 0) // ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT
    .u32(pmBase + PM.event)
    .u32(0)
    .u32(pmBase + PM.control)
    .u32(0)
    .u32(0)
    .u32(pmBase + PM.timer)
    .u32(0)
    .u32(0)
    .u8(4, 2, 0, 4, 0, 0, 0, 0) // lengths: PM1 event, PM1 control, PM2, timer, GPE0, GPE1; GPE1 base; CST_CNT
    .u16(0xffff) // no C2
    .u16(0xffff) // no C3
    .u16(0)
    .u16(0)
    .u8(0, 0, 0, 0, CENTURY_REGISTER) // duty cycle; day and month alarm: none; century
    .u16(bootArchitecture(facts))
    .u8(0)
    .u32(flags)
    .bytes(port(facts.resetPort, 1))
    .u8(RESET_VALUE)
    .u16(0) // ARM boot architecture
    .u8(4) // minor version: 6.4
    .u64(0) // X_FIRMWARE_CTRL: the 32-bit field is used
    .u64(dsdt)
    .bytes(port(pmBase + PM.event, 4))
    .bytes(none)
    .bytes(port(pmBase + PM.control, 2))
    .bytes(none)
    .bytes(none)
    .bytes(port(pmBase + PM.timer, 4))
    .bytes(none)
    .bytes(none)
    .bytes(none) // sleep control and status: hardware-reduced machines only
    .bytes(none)
    .zeros(8) // hypervisor vendor identity
    .done();
}

function bootArchitecture({ keyboard }: FirmwareFacts): number {
  const { legacy, keyboard: has8042, noVga } = BOOT_ARCHITECTURE;
  return legacy | noVga | (keyboard ? has8042 : 0);
}

/** IA-PC HPET 1.0a 3.2.4: the low half of the capabilities register, and where the registers are. */
function hpetBody(base: number): Uint8Array {
  return new ByteList()
    .u32(0x8086a201)
    .u8(0, 64, 0, 0)
    .u64(base)
    .u8(0)
    .u16(0x80) // shortest tick in periodic mode
    .u8(0)
    .done();
}

/** Generic address structure of a port (ACPI 6.4 table 5.1): space, width, offset, access size, address. */
function port(address: number, bytes: 1 | 2 | 4): Uint8Array {
  const access = bytes === 1 ? 1 : bytes === 2 ? 2 : 3;
  // The event block is two words that are accessed apart; its structure names the whole.
  return new ByteList()
    .u8(1, bytes * 8, 0, access)
    .u64(address)
    .done();
}

/** ACPI 6.4 5.2.12. */
function madtBody(facts: FirmwareFacts): Uint8Array {
  const out = new ByteList().u32(facts.lapicBase).u32(1); // PCAT_COMPAT: there are 8259s too.
  facts.processors.forEach((apicId, uid) => {
    out.u8(0, 8, uid, apicId).u32(1);
  });
  out.u8(1, 12, facts.ioapicId, 0).u32(facts.ioapicBase).u32(0);
  out.u8(2, 10, 0, facts.pit.irq).u32(2).u16(0); // The timer is wired to pin 2; trigger and polarity as on ISA.
  out.u8(2, 10, 0, facts.sciIrq).u32(facts.sciIrq).u16(LEVEL_ACTIVE_HIGH);
  out.u8(4, 6, 0xff).u16(0).u8(1); // NMI is LINT1 of every processor.
  return out.done();
}

function dsdtBody(facts: FirmwareFacts): Aml {
  const { serials, rtc, pit, pic, keyboard, hpetBase, pci } = facts;
  const hid = (id: string) => name('_HID', eisaId(id));
  const uid = (number: number) => name('_UID', integer(number));
  const crs = (...descriptors: readonly Aml[]) => name('_CRS', resources(...descriptors));
  const processors = facts.processors.map((_, i) =>
    device(
      `CP${i.toString(16).toUpperCase().padStart(2, '0')}`,
      name('_HID', text('ACPI0007')),
      uid(i),
    ),
  );
  return join(
    name('\\_S5', pack(integer(SLEEP_TYPE_S5), integer(SLEEP_TYPE_S5), integer(0), integer(0))),
    ...(pci ? [interruptModel()] : []),
    scope(
      '\\_SB',
      ...processors,
      device(
        'PIC',
        hid('PNP0000'),
        crs(ioPorts(pic.master, 2), ioPorts(pic.slave, 2), ioPorts(pic.elcr, 2)),
      ),
      device('TIMR', hid('PNP0100'), crs(ioPorts(pit.port, 4), isaIrq(pit.irq))),
      device('RTC', hid('PNP0B00'), crs(ioPorts(rtc.port, 2), isaIrq(rtc.irq))),
      ...serials.map(({ port: first, irq }, i) =>
        device(`COM${i + 1}`, hid('PNP0501'), uid(i + 1), crs(ioPorts(first, 8), isaIrq(irq))),
      ),
      ...(keyboard
        ? [
            device(
              'KBD',
              hid('PNP0303'),
              crs(ioPorts(0x60, 1), ioPorts(0x64, 1), isaIrq(keyboard.irq)),
            ),
          ]
        : []),
      ...(hpetBase === undefined
        ? []
        : [device('HPET', hid('PNP0103'), uid(0), crs(fixedMemory(hpetBase, 0x400)))]),
      ...(pci ? [hostBridge(pci)] : []),
      device(
        'MBRD', // Motherboard resources: ports that no other device names.
        hid('PNP0C02'),
        crs(
          // With PCI these are the power management function's and the host bridge's.
          ...(pci ? [] : [ioPorts(facts.pmBase, PM.length), ioPorts(facts.resetPort, 1)]),
          fixedMemory(facts.ioapicBase, 0x1000),
          fixedMemory(facts.lapicBase, 0x1000),
        ),
      ),
    ),
  );
}
