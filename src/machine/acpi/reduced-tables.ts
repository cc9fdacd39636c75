// ACPI tables of a machine without fixed hardware: processors and their local APICs, and nothing else.

import { bug } from '../../base/errors.ts';
import type { GuestRam } from '../memory.ts';
import { device, integer, join, name, scope, text } from './aml.ts';
import { ByteList } from './bytes.ts';
import { RSDP_ADDRESS, rsdp, table } from './tables.ts';

/** ACPI 6.4 table 5.10. */
const WBINVD = 1 << 0;
const C1 = 1 << 2;
const HW_REDUCED_ACPI = 1 << 20;
/** Table 5.11: neither VGA nor CMOS RTC; no legacy devices, no 8042. */
const NO_VGA = 1 << 2;
const NO_RTC = 1 << 5;

export interface ReducedFacts {
  readonly model: string;
  /** Local APIC IDs, the boot processor first. */
  readonly processors: readonly number[];
  readonly lapicBase: number;
}

/** Writes them below 1 MiB and answers the RSDP's address. */
export function writeReducedTables(ram: GuestRam, facts: ReducedFacts): number {
  let next = RSDP_ADDRESS + 0x40;
  const place = (signature: string, revision: number, body: Uint8Array): number => {
    const address = next;
    const bytes = table(facts, signature, revision, body);
    if (!ram.write(address, bytes)) bug(`no RAM for firmware table ${signature} at ${address}`);
    next = Math.ceil((address + bytes.length) / 64) * 64;
    return address;
  };
  const dsdt = place('DSDT', 2, dsdtBody(facts));
  const listed = [place('FACP', 6, fadtBody(dsdt)), place('APIC', 4, madtBody(facts))];
  const short = new ByteList();
  const long = new ByteList();
  for (const address of listed) {
    short.u32(address);
    long.u64(address);
  }
  const rsdt = place('RSDT', 1, short.done());
  const xsdt = place('XSDT', 1, long.done());
  if (!ram.write(RSDP_ADDRESS, rsdp(rsdt, xsdt))) bug('no RAM for the RSDP');
  return RSDP_ADDRESS;
}

/** ACPI 6.4 table 5.9, from offset 36 on: all of the fixed hardware is absent. */
function fadtBody(dsdt: number): Uint8Array {
  return new ByteList()
    .u32(0) // no FACS
    .u32(dsdt)
    .zeros(65) // up to the boot architecture flags, at 109
    .u16(NO_VGA | NO_RTC)
    .u8(0)
    .u32(WBINVD | C1 | HW_REDUCED_ACPI)
    .zeros(12) // no reset register
    .u8(0)
    .u16(0)
    .u8(4) // minor version: 6.4
    .u64(0)
    .u64(dsdt)
    .zeros(128) // register blocks, sleep registers, hypervisor vendor
    .done();
}

/** ACPI 6.4 5.2.12; no 8259s, no I/O APIC. */
function madtBody({ processors, lapicBase }: ReducedFacts): Uint8Array {
  const out = new ByteList().u32(lapicBase).u32(0);
  processors.forEach((apicId, uid) => {
    out.u8(0, 8, uid, apicId).u32(1);
  });
  return out.done();
}

function dsdtBody({ processors }: ReducedFacts): Uint8Array {
  const cpus = processors.map((_, n) =>
    device(
      `CP${n.toString(16).toUpperCase().padStart(2, '0')}`,
      join(name('_HID', text('ACPI0007')), name('_UID', integer(n))),
    ),
  );
  return scope('\\_SB', ...cpus);
}
