// GRUB's 32-bit images as guests of Xen, PV and PVH: each reads a configuration and a file from an ext4 disk.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDiskFile } from '../../src/host/node/index.ts';
import { NO_FITTINGS, openDisk, openKernel } from '../../src/lab/index.ts';
import { boot } from './boot.ts';
import { haveAll, runTool } from './host-tools.ts';

const FOLDER = '/usr/lib/grub-xen';
const IMAGES = [
  ['grub-i386-xen.bin', 'xen-pv'],
  ['grub-i386-xen_pvh.bin', 'xen-pvh'],
] as const;
/** Debian's images look for it on every disk. */
const CONFIG = '/boot/grub/grub.cfg';
const TEXT = 'read by GRUB';

const tools = haveAll('mke2fs', ...IMAGES.map(([name]) => `${FOLDER}/${name}`));
let folder: string;
let image: string;

describe.skipIf(!tools)('32-bit GRUB of Debian package grub-xen-host', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pvops-grub-xen-'));
    const root = join(folder, 'root');
    mkdirSync(join(root, 'boot/grub'), { recursive: true });
    writeFileSync(join(root, CONFIG), 'ls ($root)/\ncat /some-file\n');
    writeFileSync(join(root, 'some-file'), `${TEXT}\n`);
    image = join(folder, 'disk.img');
    runTool('mke2fs', ['-q', '-t', 'ext4', '-d', root, image, '8M']);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(IMAGES)('%s lists an ext4 disk and shows a file of it on %s', async (name, on) => {
    const kernel = openKernel(readFileSync(join(FOLDER, name)), name);
    const file = openDiskFile(image, 'read-only');
    const disks = [{ bus: 'virtio', disk: openDisk(file, 'read-only', image) }] as const;
    const none = async () => null;
    const found = { kernel, digest: '', busybox: none, initrd: none, modules: none };
    try {
      const { console, verdict } = await boot(found, on, {
        initrd: null,
        fittings: { ...NO_FITTINGS, disks },
        expectText: TEXT,
        timeoutSeconds: 2,
      });
      expect(console).toMatch(/lost\+found\/ boot\/ some-file/);
      expect(verdict).toBe('up');
    } finally {
      file.close();
    }
  });
});
