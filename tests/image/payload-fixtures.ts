// The test vmlinux as the kernel build packs one, by the tools themselves; the build appends the size to all but gzip.

export interface PayloadFixture {
  readonly codec: string;
  /** The command that made it (Linux 6.1 scripts/Makefile.lib). */
  readonly command: string;
  readonly base64: string;
}

/** `vmlinux` is makeVmlinux(PAYLOAD_TEXT). */
export const PAYLOAD_TEXT = 'kernel text '.repeat(20);

export const PAYLOAD_FIXTURES: readonly PayloadFixture[] = [
  {
    codec: 'gzip',
    command: 'gzip -n -9 -c vmlinux',
    base64:
      'H4sIAAAAAAACA6t39XFjYmRkgAEmBjsYEyzowIANWDAwIysCghcMSEYg0SwwUQFUE2D63mAKgWlFGI8FVR+My8uE1WEMImg0DKQkliT6ZOaVViiUpRYVZ+bnKagWM6AKmOkZ6hnolqQWlyhopCcna3IxZKcW5aXmKJSkVpQojAQ2CzSAhYA4IjWPIYCDgREAIbc5UiECAAA=',
  },
  {
    codec: 'bzip2',
    command: 'bzip2 -9 -c vmlinux',
    base64:
      'QlpoOTFBWSZTWUWphdUAAOB/gX9adABiY2FBQwRAQC6tn0CARDAAssGlEwmGgmJgAMjRMhgMiaRPUGmnqNAZANBoGjQSVJkDIMQyMmJiNAMNCqXKrTKH62dddjaWqECQyEBEMUABmqUEh6e/KxnhHQ5skJWkozcHkC8kmlQeVKlsSmLvk6IhIHoAjkMNjTE6EBfBkdJTqsT3w26fQBDb8AQ6HkgQ3MDiBINtyEYDAQwGxIwbM0uppIOLHQRANGJpBHzsZC7kinChIItTC6o=',
  },
  {
    codec: 'lzma',
    command: 'lzma -9 -c vmlinux',
    base64:
      'XQAAAAT//////////wA/kUWEaD2JptqKzJPmUE70kui/rVPJX1cM75jjDbHy89TSZ2i6OIGpy/qSezKEs8HhyytIC06EkWFE6Qu8XWXSXYnONNdB0tg/siE5zqHjJdeEWg4fYAbYVzEE7tuTTjuhoqTK6ftXGCqhvU6CXK/Fbl9K7CyuecQ+B4pWQckH///v9AQA',
  },
  {
    codec: 'xz',
    command: 'xz --check=crc32 --x86 --lzma2=,dict=1MiB -c vmlinux',
    base64:
      '/Td6WFoAAAFpIt42AgEEACEBEACLIW9J4AIgAIFdAD+RRYRoPYmm2orMk+ZQTvSS6L+tU8lfVwzvmHw3Se1P8vtuda8gpzqih11fU9nRJ4QMWtTTlolTpoiszunojYrQvTkPgcl2r5DGVHhQUakJtAYGNTiy3/b8InyvnW+SdTBiBW1TopfyEJa7+dDwgkQ8PH6LHjaBZr5mgbnGKaSQAAAAAAAhtzlSAAGZAaEEAABabII2PjANiwIAAAAAAVla',
  },
  {
    codec: 'lzo',
    command: 'lzop -9 -c vmlinux',
    base64:
      'iUxaTwANChoKEEAgoAlAAwkDAAAJAACBpGsK4tcAAAAAB3ZtbGludXhonwffAAACIQAAAJu8XnHkGX9FTEYCAQEA4wACAD7oAZICQAAyAwA4AAMqkABCAOgAKQgBKR0ABPUCECwEAf0G7DBIAJ0AIfUBBCzcAPoBDQIzYgIAFC0cAOAAAANkYXRhTGludXggdmVyc2lvbiAlcwAsQAAADDYuMS4wLXRlc3QgKGdjYykKAGtlcm5lbCB0ZXh0ICDDLQAEwSwSTAAFWGVuAFAIAAERAAAAAAAA',
  },
  {
    codec: 'lz4',
    command: 'lz4 -q -l -9 -c vmlinux',
    base64:
      'AiFMGKIAAACEf0VMRgIBAQABADQCAD4LAAEVAC9AAAEAATg4AAMlAFcAAADoAEMABwgAFAQWABoQQgAEOAAe7BMAAQgAFCEOAAVBAAoPAD8NAgABAAIbFAgABAEA+gZkYXRhTGludXggdmVyc2lvbiAlcwARAP8PNi4xLjAtdGVzdCAoZ2NjKQoAa2VybmVsIHRleHQgDADREwRhAcASAAAAWGVuAFAIAAE=',
  },
  {
    codec: 'zstd',
    command: 'zstd -q -22 --ultra -c vmlinux',
    base64:
      'KLUv/WQhAZ0EAMQFf0VMRgIBAQACAD4AQAA4AAMB6AIEABDsASEEDQIAFGRhdGFMaW51eCB2ZXJzaW9uICVzADYuMS4wLXRlc3QgKGdjYykKAGtlcm5lbCB0ZXh0IAQSWGVuAFAIAAEXoHAa0eJ6VwOA0tS1BgCSJVPDh8p0Cd53XcAXmdsWEZibDZsO5iaz86DN2c7CFJRg8hPFBodcY9s=',
  },
];
