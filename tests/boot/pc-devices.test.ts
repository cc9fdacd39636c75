// Debian's kernels on machine pc with the drivers of their own packages: file systems on disks, and a wire between two cards.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDiskFile } from '../../src/host/node/index.ts';
import {
  buildInitramfs,
  type DiskBus,
  driversOf,
  type Fittings,
  findInterface,
  NO_FITTINGS,
  openDisk,
} from '../../src/lab/index.ts';
import { type Booted, boot, findKernel, pulledKernel, titleOf } from './boot.ts';
import { checkExt4, makeExt4, readFromExt4 } from './ext4.ts';
import { haveAll } from './host-tools.ts';

const tools = haveAll('mke2fs', 'fsck.ext4', 'debugfs');
const DONE = 'SCRIPT-DONE';

/** Writes, unmounts, mounts again and reads; then two name spaces of the network speak over the wire. */
const SCRIPT = `
for d in vda sda; do
  [ -e /dev/$d ] || continue
  mount -t ext4 /dev/$d /mnt && echo written by the guest > /mnt/$d && sync && umount /mnt
  mount -t ext4 /dev/$d /mnt && echo "$d: $(cat /mnt/$d)" && umount /mnt
done
if [ -e /sys/class/net/eth1 ]; then
  unshare -n sleep 1000 &
  other=$!
  while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do usleep 1000; done
  ip link set eth1 netns $other
  nsenter -t $other -n sh -c 'ip addr add 10.0.0.2/24 dev eth1; ip link set eth1 up'
  ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up
  ping -c 2 10.0.0.2
fi
if [ -e /dev/hvc0 ]; then echo by way of virtio > /dev/hvc0; fi
if [ -e /dev/hwrng ]; then head -c 8 /dev/hwrng | od -An -tx1; fi
echo ${DONE}
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvops-boot-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Boots the kernel with a fresh ext4 disk on each bus, and answers what it printed and the images. */
async function bootWithDisks(
  name: string,
  on: string,
  buses: readonly DiskBus[],
  more: Partial<Fittings> = {},
): Promise<Booted & { readonly images: readonly string[] }> {
  const found = await findKernel(name, false);
  const images = buses.map((bus) => makeExt4(join(folder, `${on}-${bus}.img`), 16));
  const files = images.map((path) => openDiskFile(path, 'read-write'));
  const disks = buses.map((bus, n) => ({
    bus,
    disk: openDisk(files[n]!, 'read-write', images[n]!, n + 1),
  }));
  const fittings = { ...NO_FITTINGS, disks, ...more };
  const modules = await found.modules(driversOf(fittings, findInterface(on).interface));
  const busybox = (await found.busybox()) ?? new Uint8Array();
  const initrd = buildInitramfs({ busybox, script: SCRIPT, ...(modules ? { modules } : {}) });
  try {
    return {
      ...(await boot(found, on, { initrd, fittings, expectText: DONE })),
      images,
    };
  } finally {
    for (const file of files) file.close();
  }
}

function expectWritten(image: string, disk: string): void {
  expect(readFromExt4(image, `/${disk}`)).toBe('written by the guest\n');
  expect(() => checkExt4(image)).not.toThrow();
}

const CLOUD = 'debian:12/cloud-amd64';
const cloud = await pulledKernel(CLOUD);

describe.skipIf(!cloud || !tools)(titleOf(CLOUD, cloud), () => {
  let booted: Awaited<ReturnType<typeof bootWithDisks>>;
  beforeAll(async () => {
    const more = { nets: ['link'], extras: ['virtio-rng', 'virtio-console'] } as const;
    booted = await bootWithDisks(CLOUD, 'kvm', ['virtio', 'ide'], more);
  });

  it('reaches its init and the end of its script on machine pc, on kvm', () => {
    expect(booted.reason).toBe(`the console printed '${DONE}'`);
    expect(booted.machine).toBe('pc');
    expect(booted.console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
  });

  it('keeps what it wrote to ext4 on virtio-blk and on IDE, over a remount and for the host', () => {
    const [virtio = '', ide = ''] = booted.images;
    expect(booted.console).toContain('vda: written by the guest');
    expect(booted.console).toContain('sda: written by the guest');
    expectWritten(virtio, 'vda');
    expectWritten(ide, 'sda');
  });

  it('pings from one network card to the other over their wire', () => {
    expect(booted.console).toMatch(/2 packets transmitted, 2 packets received, 0% packet loss/);
  });

  it('prints on its virtio console', () => {
    expect(booted.console).toContain('by way of virtio');
  });

  it('reads random bytes from its virtio device', () => {
    expect(booted.console).toMatch(/^( [0-9a-f]{2}){8}\r?$/m);
  });
});

const FULL = 'debian:12/amd64';
const full = await pulledKernel(FULL);

describe.skipIf(!full || !tools)(titleOf(FULL, full), () => {
  it('has ext4 itself as a module, and writes through it on native', async () => {
    const { reason, console, images } = await bootWithDisks(FULL, 'native', ['virtio']);
    expect(reason).toBe(`the console printed '${DONE}'`);
    expect(console).toContain('vda: written by the guest');
    expectWritten(images[0] ?? '', 'vda');
  });
});
