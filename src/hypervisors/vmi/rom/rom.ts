// The option ROM that a VMI guest scans for, assembled: a header that says what it is, and code that traps.

import { bug } from '../../../base/errors.ts';
import { Assembler } from '../../../cpu/asm.ts';
import {
  pciHeader,
  pnpHeader,
  ROM_SIGNATURE,
  VMI_API_REV,
  VMI_PCI,
  VMI_SIGNATURE,
  vromHeader,
} from '../abi.ts';
import { CALLS_END, INIT_AT, RELOC_AT, ROM_BYTES, stubAt } from './layout.ts';

/** A ROM's length is told in these. */
const CHUNK = 512;
/** In the header's reserved bytes. */
const PCI_AT = 32;
const PNP_AT = 64;
const STRINGS_AT = 0x90;
const LICENSE = 'GPL';
const MANUFACTURER = 'pvops';
const PRODUCT = 'VMI';
const ROM_VERSION = { major: 1, minor: 0 };
/** PCI Firmware Specification 3.0 5.1.2: the last image. */
const LAST_IMAGE = 0x80;
/** Offset of a byte that means nothing, for the checksum: the header's, behind its 16-bit entry. */
const CHECKSUM_AT = 7;
const INT3 = 0xcc;
const RETF = 0xcb;

/** `virtualTop`: the lowest linear address that guests are to leave alone; 0 if they may have all. */
export function vmiRom(virtualTop: number): Uint8Array {
  const strings = placeStrings([LICENSE, MANUFACTURER, PRODUCT]);
  const rom = new Uint8Array(ROM_BYTES);
  rom.set(code(strings.bytes));
  const view = new DataView(rom.buffer);
  const [license_offs, manufacturer_offset, product_offset] = strings.offsets;
  vromHeader.write(view, 0, {
    rom_signature: ROM_SIGNATURE,
    rom_length: ROM_BYTES / CHUNK,
    rom_entry: [RETF, 0, 0, 0],
    vrom_signature: VMI_SIGNATURE,
    api_version_min: VMI_API_REV.minor,
    api_version_maj: VMI_API_REV.major,
    jump_slots: CALLS_END,
    virtual_top: virtualTop,
    license_offs: license_offs!,
    pci_header_offs: PCI_AT,
    pnp_header_offs: PNP_AT,
  });
  pciHeader.write(view, PCI_AT, {
    sig: ascii('PCIR'),
    vendorID: VMI_PCI.vendor,
    deviceID: VMI_PCI.device,
    size: pciHeader.size,
    chunks: ROM_BYTES / CHUNK,
    rom_version_min: ROM_VERSION.minor,
    rom_version_maj: ROM_VERSION.major,
    lastRom: LAST_IMAGE,
  });
  pnpHeader.write(view, PNP_AT, {
    sig: ascii('$PnP'),
    rev: 1,
    size: pnpHeader.size / 16,
    manufacturer_offset: manufacturer_offset!,
    product_offset: product_offset!,
  });
  const pnp = rom.subarray(PNP_AT, PNP_AT + pnpHeader.size);
  rom[PNP_AT + pnpHeader.offsetOf('checksum')] = -sum(pnp) & 0xff;
  rom[CHECKSUM_AT] = -sum(rom) & 0xff;
  return rom;
}

/** Every entry is a trap and a return: the interface knows by its place which call it is. */
function code(strings: Uint8Array): Uint8Array {
  const a = new Assembler(32, 0);
  const at = (offset: number) => {
    if (a.here > BigInt(offset)) bug(`the VMI ROM has code at 0x${a.here.toString(16)} already`);
    while (a.here < BigInt(offset)) a.bytes(0);
  };
  at(INIT_AT);
  trap(a);
  at(RELOC_AT);
  trap(a);
  at(STRINGS_AT);
  a.bytes(strings);
  for (let call = 0; call < CALLS_END; call++) {
    at(stubAt(call));
    trap(a);
  }
  return a.finish();
}

function trap(a: Assembler): void {
  a.text('vmcall; ret').align(8, INT3);
}

function placeStrings(texts: readonly string[]): { bytes: Uint8Array; offsets: number[] } {
  const all = texts.map((text) => `${text}\0`);
  const offsets = all.map((_, n) => STRINGS_AT + all.slice(0, n).join('').length);
  return { bytes: Uint8Array.from(ascii(all.join(''))), offsets };
}

const ascii = (text: string): number[] => Array.from(text, (c) => c.charCodeAt(0));
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
