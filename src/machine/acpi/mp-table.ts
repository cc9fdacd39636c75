// The MultiProcessor table, for kernels without ACPI (Intel MultiProcessor Specification 1.4, chapter 4).

import { ByteList, checksum } from './bytes.ts';
import type { FirmwareFacts, PlacedTable } from './facts.ts';

/** The last KiB of 640 K is one of the places that are searched. */
export const MP_ADDRESS = 0x9fc00;
const INTERRUPT = { int: 0, nmi: 1, extInt: 3 } as const;
/** Polarity active high, level-triggered (table 4-10). */
const LEVEL_ACTIVE_HIGH = 0x0d;
/** The same for PCI's active low lines. */
const LEVEL_ACTIVE_LOW = 0x0f;
const ALL_LAPICS = 0xff;

export function mpTables(facts: FirmwareFacts): readonly PlacedTable[] {
  const table = configuration(facts);
  const pointer = new ByteList()
    .text('_MP_', 4)
    .u32(MP_ADDRESS + 16)
    .u8(1, 4, 0)
    .zeros(5) // A table is given; no IMCR: virtual wire is the boot state.
    .done();
  pointer[10] = checksum(pointer);
  return [
    { name: '_MP_', address: MP_ADDRESS, bytes: pointer },
    { name: 'PCMP', address: MP_ADDRESS + 16, bytes: table },
  ];
}

function configuration(facts: FirmwareFacts): Uint8Array {
  const entries = new ByteList();
  let count = 0;
  const entry = (...bytes: readonly number[]) => {
    entries.u8(...bytes);
    count++;
  };
  facts.processors.forEach((id, i) => {
    entry(0, id, 0x14, i === 0 ? 3 : 1);
    entries.u32(facts.cpuSignature).u32(facts.cpuFeatures).zeros(8);
  });
  // PCI buses have their own numbers (MPS 1.4 appendix D.1); ISA takes the next.
  const isaBus = facts.pci ? 1 : 0;
  if (facts.pci) {
    entry(1, 0);
    entries.text('PCI', 6);
  }
  entry(1, isaBus);
  entries.text('ISA', 6);
  entry(2, facts.ioapicId, 0x20, 1);
  entries.u32(facts.ioapicBase);
  for (let irq = 0; irq < 16; irq++) {
    if (irq === 2) continue; // The cascade.
    const flags = irq === facts.sciIrq ? LEVEL_ACTIVE_HIGH : 0;
    entry(3, INTERRUPT.int, flags, 0, isaBus, irq, facts.ioapicId, irq === 0 ? 2 : irq);
  }
  for (const { slot, pin, pirq } of pciPins(facts)) {
    const source = (slot << 2) | (pin - 1);
    entry(3, INTERRUPT.int, LEVEL_ACTIVE_LOW, 0, 0, source, facts.ioapicId, pirq);
  }
  entry(3, INTERRUPT.extInt, 0, 0, isaBus, 0, facts.ioapicId, 0);
  entry(4, INTERRUPT.extInt, 0, 0, isaBus, 0, ALL_LAPICS, 0);
  entry(4, INTERRUPT.nmi, 0, 0, isaBus, 0, ALL_LAPICS, 1);
  const bytes = new ByteList()
    .text('PCMP', 4)
    .u16(44 + entries.length)
    .u8(4, 0)
    .text('PVOPS', 8)
    .text(facts.model, 12)
    .u32(0)
    .u16(0)
    .u16(count)
    .u32(facts.lapicBase)
    .u32(0)
    .bytes(entries.done())
    .done();
  bytes[7] = checksum(bytes);
  return bytes;
}

function pciPins({ pci }: FirmwareFacts): readonly { slot: number; pin: number; pirq: number }[] {
  if (!pci) return [];
  return pci.slots.flatMap((slot) =>
    [1, 2, 3, 4].map((pin) => ({ slot, pin, pirq: pci.firstPin + pci.pirqOf(slot, pin) })),
  );
}
