// SeaBIOS at the reset vector of machine pc: it finds GRUB on a disk, and GRUB Debian's kernel.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDiskFile } from '../../src/host/node/index.ts';
import {
  buildInitramfs,
  type DiskMode,
  type Fittings,
  NO_FITTINGS,
  openDisk,
} from '../../src/lab/index.ts';
import { boot, findKernel, pulledKernel, titleOf } from './boot.ts';
import { makeGrubDisk } from './grub-disk.ts';
import { haveAll } from './host-tools.ts';

const NAME = 'debian:12/cloud-amd64';
const BIOS = '/usr/share/seabios/bios.bin';
const GRUB_CONFIG = `serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo GRUB reads its configuration
linux /boot/vmlinuz console=ttyS0 panic=-1
initrd /boot/initrd.img
boot
`;

const pulled = await pulledKernel(NAME);
const tools = haveAll(BIOS, 'grub-mkimage', '/usr/lib/grub/i386-pc/boot.img', 'mke2fs');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvops-bios-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function bootBios(image: string, mode: DiskMode, expectText: string | null) {
  const file = openDiskFile(image, mode);
  const rom = { name: 'bios.bin', bytes: readFileSync(BIOS) };
  const disks = [{ bus: 'virtio', disk: openDisk(file, mode, image) }] as const;
  const fittings: Fittings = { ...NO_FITTINGS, disks, rom };
  try {
    const found = await findKernel(NAME);
    return await boot(found, 'native', { kernel: null, initrd: null, fittings, expectText });
  } finally {
    file.close();
  }
}

describe.skipIf(!pulled || !tools)(`SeaBIOS, GRUB and ${titleOf(NAME, pulled)}`, () => {
  it('boot from a copy-on-write disk to the init of the initrd beside the kernel', async () => {
    const found = await findKernel(NAME);
    const busybox = (await found.busybox()) ?? new Uint8Array();
    const image = makeGrubDisk(folder, GRUB_CONFIG, {
      '/boot/vmlinuz': found.kernel.bytes,
      '/boot/initrd.img': buildInitramfs({ busybox }),
    });
    const { reason, console } = await bootBios(image, 'copy-on-write', null);
    expect(console).toContain('SeaBIOS (version');
    expect(console).toContain('GRUB reads its configuration');
    expect(console).toMatch(/^INIT-UP uptime=/m);
    expect(reason).toBe('the console printed INIT-UP');
    expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
  });
});
