// GRUB's 64-bit image as a PV guest of Xen starts Debian from an ext4 disk: it rebuilds the domain it runs in.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openDiskFile } from '../../src/host/node/index.ts';
import { buildInitramfs, NO_FITTINGS, openDisk, openKernel } from '../../src/lab/index.ts';
import { boot, findKernel, pulledKernel, titleOf } from './boot.ts';
import { makeExt4 } from './ext4.ts';
import { haveAll } from './host-tools.ts';

const NAME = 'debian:12/amd64';
const GRUB = '/usr/lib/grub-xen/grub-x86_64-xen.bin';
/** Packed with xz, as Debian ships it. The cloud kernel's LZ4 is what GRUB 2.06 cannot read: `grub-file --is-x86_64-xen-domu`. */
const CONFIG = 'ls ($root)/\nlinux /vmlinuz console=hvc0\ninitrd /initrd.img\nboot\n';

const pulled = await pulledKernel(NAME);
const tools = haveAll('mke2fs', GRUB);

it.skipIf(!pulled || !tools)(
  `GRUB starts ${titleOf(NAME, pulled)} from xvda`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pvops-grub-xen64-'));
    try {
      const debian = await findKernel(NAME);
      const busybox = (await debian.busybox()) ?? new Uint8Array();
      const root = join(folder, 'root');
      mkdirSync(join(root, 'boot/grub'), { recursive: true });
      writeFileSync(join(root, 'boot/grub/grub.cfg'), CONFIG);
      writeFileSync(join(root, 'vmlinuz'), debian.kernel.bytes);
      writeFileSync(join(root, 'initrd.img'), buildInitramfs({ busybox }));
      const image = makeExt4(join(folder, 'disk.img'), 40, root);
      const file = openDiskFile(image, 'read-only');
      const disks = [{ bus: 'virtio', disk: openDisk(file, 'read-only', image) }] as const;
      const kernel = openKernel(readFileSync(GRUB), GRUB);
      const { console, reason } = await boot({ ...debian, kernel }, 'xen-pv', {
        engine: 'jit',
        initrd: null,
        fittings: { ...NO_FITTINGS, disks },
        expectText: 'INIT-UP',
      });
      file.close();
      expect(console).toMatch(/lost\+found\/ .*vmlinuz/);
      expect(console).toContain('Booting kernel on Xen');
      expect(reason).toBe("the console printed 'INIT-UP'");
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  900_000,
);
