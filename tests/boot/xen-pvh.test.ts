// Debian's stock kernels as PVH guests of Xen, from their entry to our init and down again.

import { beforeAll, describe, expect, it } from 'vitest';
import { buildInitramfs, findInterface } from '../../src/lab/index.ts';
import { memoryStore } from '../../src/machine/disk.ts';
import { NO_FITTINGS, openDisk } from '../../src/machine/index.ts';
import { boot, type FoundKernel, findKernel, pulledKernel, titleOf } from './boot.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);

describe.skipIf(!pulled)(`xen-pvh: ${titleOf(NAME, pulled)}`, () => {
  let found: FoundKernel;
  beforeAll(async () => {
    found = await findKernel(NAME);
  });

  it('knows Xen, takes time, events and console from there, and reads what is typed', async () => {
    const script =
      'cat /sys/devices/system/clocksource/clocksource0/current_clocksource /sys/hypervisor/guest_type; date +%Y; poweroff\n';
    const { console, verdict } = await boot(found, 'xen-pvh', {
      input: { kind: 'script', bytes: new TextEncoder().encode(script) },
    });
    expect(console).toContain('Hypervisor detected: Xen HVM');
    expect(console).toContain('Booting kernel on Xen PVH');
    expect(console).toContain('xen:events: Using FIFO-based ABI');
    expect(console).toContain('Grant table initialized');
    expect(console).toMatch(/^INIT-UP uptime=\d+\.\d+/m);
    expect(console).toMatch(/^xen\r?\nPVH\r?\n2024\r?$/m);
    expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|unchecked MSR access/);
    expect(verdict).toBe('up');
  });
});

describe.skipIf(!pulled)(`xen-pvh devices: ${titleOf(NAME, pulled)}`, () => {
  it('keeps files on xvda, refuses to discard, and goes through sysrq, suspend and poweroff from outside', async () => {
    const found = await findKernel(NAME);
    const { takes } = findInterface('xen-pvh').interface;
    const modules = await found.modules([...takes!.diskDrivers, 'ext4']);
    const busybox = (await found.busybox()) ?? new Uint8Array();
    const script = [
      'mke2fs /dev/xvda >/dev/null 2>&1; mount -t ext4 /dev/xvda /mnt',
      'dd if=/dev/urandom of=/mnt/f bs=64k count=64 2>/dev/null; sync; md5sum < /mnt/f > /tmp/sum',
      'umount /mnt; mount -t ext4 /dev/xvda /mnt; md5sum < /mnt/f | cmp - /tmp/sum && echo SAME',
      'umount /mnt; blkdiscard /dev/xvda; echo WAITING',
    ].join('\n');
    const disk = openDisk(memoryStore(16 << 20), 'read-write', 'memory');
    const { console, verdict, reason } = await boot(found, 'xen-pvh', {
      initrd: buildInitramfs({ busybox, script, ...(modules && { modules }) }),
      fittings: { ...NO_FITTINGS, disks: [{ bus: 'virtio', disk }] },
      requests: [
        { atNanos: 3e9, what: 'sysrq h' },
        { atNanos: 4e9, what: 'suspend' },
        { atNanos: 6e9, what: 'poweroff' },
      ],
    });
    expect(console).toMatch(
      /blkfront: xvda: flush diskcache: enabled;.*indirect descriptors: enabled/,
    );
    expect(console).toMatch(/^SAME\r?$/m);
    expect(console).toMatch(/BLKDISCARD failed: Operation not supported/);
    expect(console).toContain('sysrq: HELP');
    expect(console).toMatch(/Freezing user space processes[\s\S]*Restarting tasks/);
    expect(console).toContain('reboot: ');
    expect(console).not.toMatch(/BUG:|WARNING:|Call Trace|I\/O error/);
    expect([verdict, reason]).toEqual(['up', 'the guest switched itself off']);
  });
});
