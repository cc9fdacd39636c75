// The ROM as 2.6.32 looks for it, and a guest that finds it, initialises it and calls it.

import { describe, expect, it } from 'vitest';
import { pciHeader, pnpHeader, vromHeader } from './abi.ts';
import { ROM_AT, ROM_BYTES } from './rom/layout.ts';
import { vmiRom } from './rom/rom.ts';
import { runVmiKernel } from './testing/kernel.ts';

const rom = vmiRom(0xfc000000);
const view = new DataView(rom.buffer);
const text = (at: number) => String.fromCharCode(...rom.slice(at, rom.indexOf(0, at)));
const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

describe('the ROM', () => {
  const header = vromHeader.read(view, 0)!;

  it('has the fields of struct vrom_header where its C header has them', () => {
    const offsets = [
      'vrom_signature',
      'virtual_top',
      'license_offs',
      'vmi_init',
      'get_reloc',
    ] as const;
    expect(offsets.map((name) => vromHeader.offsetOf(name))).toEqual([8, 16, 22, 128, 136]);
  });

  it('is accepted: signatures, version 3, a PCI header, a licence that is GPL', () => {
    expect(header).toMatchObject({
      rom_signature: 0xaa55,
      vrom_signature: 0x696d5663,
      api_version_maj: 3,
      api_version_min: 0,
      virtual_top: 0xfc000000,
    });
    expect(header.pci_header_offs).not.toBe(0);
    expect(text(header.license_offs)).toBe('GPL');
  });

  it('is of the known manufacturer, and names itself', () => {
    const pci = pciHeader.read(view, header.pci_header_offs)!;
    expect(pci).toMatchObject({ vendorID: 0x15ad, deviceID: 0x0801, size: 24, lastRom: 0x80 });
    const pnp = pnpHeader.read(view, header.pnp_header_offs)!;
    expect([text(pnp.manufacturer_offset), text(pnp.product_offset)]).toEqual(['pvops', 'VMI']);
    expect(sum(rom.slice(header.pnp_header_offs, header.pnp_header_offs + 32))).toBe(0);
  });

  it('has the length that it says, on a step of the scan, and sums up to 0', () => {
    expect(header.rom_length * 512).toBe(ROM_BYTES);
    expect(ROM_AT % 2048).toBe(0);
    expect(sum(rom)).toBe(0);
  });
});

describe('a guest', () => {
  it('finds it as the kernel does, initialises it, and prints through a relocated call', () => {
    let printed = '';
    const { stop, word } = runVmiKernel(
      `
      mov esi, 0xc00c0000
    scan:
      cmp word ptr [esi], 0xaa55
      jne next
      cmp dword ptr [esi+8], 0x696d5663
      je found
    next:
      add esi, 2048
      cmp esi, 0xc00e0000
      jb scan
      hlt
    found:
      mov [report], esi
      lea eax, [esi+0x80]
      call eax
      mov [report+4], eax
      lea ecx, [esi+0x88]
      mov eax, 56
      call ecx
      mov [report+8], edx
      mov edi, eax
      mov edx, 0x3f8
      mov eax, 0x56
      call edi
      mov eax, 0x4d
      call edi
      mov eax, 0x49
      call edi`,
      {
        transmit: (byte) => {
          printed += String.fromCharCode(byte);
        },
      },
    );
    expect(stop.kind).toBe('dead');
    expect([word(0), word(1), word(2)]).toEqual([0xc00d0000, 0, 1]);
    expect(printed).toBe('VMI');
  });
});
