// Requests the other way: what a hypervisor asks of its guest.

import { defineOp } from '../define.ts';

const CONTROL = 'docs/misc/xenstore-paths.pandoc (Xen) control/shutdown';
const BUTTON = 'ACPI 6.4 4.8.3.1.1';

export const powerOff = defineOp({
  id: 'request.power_off',
  class: 'outside',
  does: 'Asks the guest to shut down and switch itself off.',
  native: { by: 'event', what: "ACPI's power button", ref: BUTTON },
  ref: CONTROL,
});

export const reboot = defineOp({
  id: 'request.reboot',
  class: 'outside',
  does: 'Asks the guest to reboot.',
  native: {
    by: 'event',
    what: 'Ctrl-Alt-Del at the keyboard',
    ref: 'Documentation/admin-guide/sysctl/kernel.rst',
  },
  ref: CONTROL,
});

export const suspend = defineOp({
  id: 'request.suspend',
  class: 'outside',
  does: 'Asks the guest to make itself ready to be saved or moved.',
  native: { by: 'event', what: "ACPI's sleep button", ref: 'ACPI 6.4 4.8.3.1.2' },
  ref: CONTROL,
});

export const sysrq = defineOp({
  id: 'request.sysrq',
  class: 'outside',
  does: 'Sends a system request key.',
  params: { key: 'code' },
  native: {
    by: 'event',
    what: 'a break on the serial line, then the key',
    ref: 'Documentation/admin-guide/sysrq.rst',
  },
  ref: 'docs/misc/xenstore-paths.pandoc (Xen) control/sysrq',
});

export const nmi = defineOp({
  id: 'request.nmi',
  class: 'outside',
  does: 'Interrupts the guest whatever it does, mostly for a dump.',
  native: { by: 'event', what: 'NMI', ref: 'SDM 3A 6.7' },
  ref: 'xen/include/public/nmi.h',
});

export const balloon = defineOp({
  id: 'request.balloon',
  class: 'outside',
  does: 'Asks the guest to give memory back, or to take it again.',
  params: { target: 'bytes' },
  native: { by: 'nothing', what: 'nobody asks' },
  ref: 'docs/misc/xenstore-paths.pandoc (Xen) memory/target; virtio 1.2 5.5',
});

export const cpuHotplug = defineOp({
  id: 'request.cpu_hotplug',
  class: 'outside',
  does: 'Asks the guest to take a CPU into service, or out of it.',
  params: { cpu: 'cpu', online: 'bool' },
  native: { by: 'event', what: 'an ACPI notification', ref: 'ACPI 6.4 8.4' },
  ref: 'docs/misc/xenstore-paths.pandoc (Xen) cpu/availability',
});

export const memoryHotplug = defineOp({
  id: 'request.memory_hotplug',
  class: 'outside',
  does: 'Gives the guest more memory than it began with.',
  params: { at: 'gpa', size: 'bytes' },
  native: { by: 'event', what: 'an ACPI notification', ref: 'ACPI 6.4 9.11' },
  ref: 'ACPI 6.4 9.11',
});

export const deviceHotplug = defineOp({
  id: 'request.device_hotplug',
  class: 'outside',
  does: 'Adds a device, or takes one away.',
  native: { by: 'event', what: "PCI's hot-plug interrupt", ref: 'PCI Express 3.0 6.7' },
  ref: 'xen/include/public/io/xenbus.h',
});

export const clockJump = defineOp({
  id: 'request.clock_jump',
  class: 'outside',
  does: 'Tells the guest that it was stopped, so that its watchdogs do not bark.',
  native: { by: 'nothing', what: 'nobody stops it' },
  ref: 'Documentation/virt/kvm/x86/msr.rst (6.1) pvclock flags, bit 1',
});
