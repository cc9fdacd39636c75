// The PCI host bridge in ACPI machine language: its windows, and which interrupt each slot's pins have.

import {
  type Aml,
  busNumbers,
  device,
  eisaId,
  ifThen,
  integer,
  ioPorts,
  join,
  memoryRange,
  method,
  name,
  pack,
  portRange,
  resources,
  returnNamed,
  storeArg0,
} from './aml.ts';
import type { PciFacts } from './facts.ts';

const SLOTS = 32;
const PINS = 4;

/** `\\_PIC`, by which a system says that it uses the I/O APIC (ACPI 6.4 5.8.1), and where the answer is kept. */
export function interruptModel(): Aml {
  return join(name('\\PICM', integer(0)), method('\\_PIC', 1, storeArg0('\\PICM')));
}

/** Memory of a graphics adapter, if one were there. */
const GRAPHICS = { first: 0xa0000, last: 0xbffff } as const;

export function hostBridge(facts: PciFacts): Aml {
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A03')),
    name('_UID', integer(0)),
    name(
      '_CRS',
      resources(
        busNumbers(0, 0xff),
        ioPorts(0xcf8, 8),
        portRange(0, 0xcf7),
        portRange(0xd00, 0xffff),
        memoryRange(GRAPHICS.first, GRAPHICS.last),
        memoryRange(facts.window.first, facts.window.last),
      ),
    ),
    name(
      'PRTA',
      routes(facts, (pirq) => facts.firstPin + pirq),
    ),
    name(
      'PRTP',
      routes(facts, (pirq) => facts.irqs[pirq]!),
    ),
    method('_PRT', 0, ifThen('\\PICM', returnNamed('PRTA')), returnNamed('PRTP')),
  );
}

/** ACPI 6.4 6.2.13: address, pin, 0 (no link device), global system interrupt. */
function routes(facts: PciFacts, interrupt: (pirq: number) => number): Aml {
  const entries: Aml[] = [];
  for (let slot = 1; slot < SLOTS; slot++) {
    for (let pin = 0; pin < PINS; pin++) {
      const gsi = interrupt(facts.pirqOf(slot, pin + 1));
      entries.push(pack(integer(slot * 0x10000 + 0xffff), integer(pin), integer(0), integer(gsi)));
    }
  }
  return pack(...entries);
}
