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
      'H4sIAAAAAAACA6t39XFjYmRkgAEmBjsGKA9MOTBgAgcGCwZmqAxM5wsGJCOQaBaYqACqGTB9bzCFwLQijMeCqg/G5WViwApE0GgYSEksSfTJzCutUChLLSrOzM9TUC1mQBUw0zPUM9AtSS0uUdBIT07W5GLITi3KS81RKEmtKFEYCWwWaAALAXFEah5DAAcDIwBDvWjgIQIAAA==',
  },
  {
    codec: 'bzip2',
    command: 'bzip2 -9 -c vmlinux',
    base64:
      'QlpoOTFBWSZTWXz/cFYAAON/gX9a1ABiY2FBQwRAQC6tn0CARDAAswYABo00AZNAaDIDQGmk0TUA09T1AMgAABoJKU0yaaPUNAA0Bkepo9TTaRVGkhS/Aoe5bLKWhGMQEYgAlMJACVm+ayAgoovO9eFkz3SyygWeYQxzbaQBEwzKg31KjGZE3e6SxiQPBECSY9d6aqiOQO1znVxrJ7a92cEfLARcSoQ9pSTpA2xCLSAIgEQkWxF7hKxINMJgROMLjACK+h/F3JFOFCQfP9wVgA==',
  },
  {
    codec: 'lzma',
    command: 'lzma -9 -c vmlinux',
    base64:
      'XQAAAAT//////////wA/kUWEaD2JptqKzJPiTvHp4ejwAH2dlk40Jr/h++Xk8EwPJ1NClV8kwudPv6w9phWuS78HcaeYa3ma6wKaP+k8I7cKMdeMqh4bWWzews8ayJ+3RheWb1PJ0PqaZgPttp6JSYxcL/vg1TFKm7GD64hG9SNqCEyKzXGt5Fu5r6kwtSih///yzrAA',
  },
  {
    codec: 'xz',
    command: 'xz --check=crc32 --x86 --lzma2=,dict=1MiB -c vmlinux',
    base64:
      '/Td6WFoAAAFpIt42AgEEACEBEACLIW9J4AIgAINdAD+RRYRoPYmm2orMk+JO8enh6PAAfZ2WTjQmv+H72Cnkzpla00PEFhPh5ktINIZPb77YMeYLKVteacDftY7clR/uVJJhalm60ZQRlQ4kcFzxr+AhhepieJhWE8xUtzBtf2fcM+YjbFEEXNKdTiowZAJ30d5jbyxq6EGOGt23PYLu+gwAAABDvWjgAAGbAaEEAABRzUp7PjANiwIAAAAAAVla',
  },
  {
    codec: 'lzo',
    command: 'lzop -9 -c vmlinux',
    base64:
      'iUxaTwANChoKEEAgoAlAAwkDAAAJAACBpGsLPEwAAAAAB3ZtbGludXhYiwavAAACIQAAAJ+zenJlGX9FTEYCAQEA4AABAgA+ANQBmgBAADAAAAJAADgAA8QD5gfoACkIASkdAAT1AhAsDAH9BuwwSACdACH1AQQs3AD7AQ0CADMBABQtHADgAAADZGF0YUxpbnV4IHZlcnNpb24gJXMALEAAAAw2LjEuMC10ZXN0IChnY2MpCgBrZXJuZWwgdGV4dCAgwy0ABMEsEkwABVhlbgBQCAABEQAAAAAAAA==',
  },
  {
    codec: 'lz4',
    command: 'lz4 -q -l -9 -c vmlinux',
    base64:
      'AiFMGKYAAACEf0VMRgIBAQABAEMCAD4ADgABBwAuQAABAHZAADgAAwBAJQBXAAAA6ABDAAcIABQEFgAaEEQABDgAHuwTAAEIABQhDgAFQQAKDwA/DQIAAQACGxQIAAQBAPoGZGF0YUxpbnV4IHZlcnNpb24gJXMAEQD/DzYuMS4wLXRlc3QgKGdjYykKAGtlcm5lbCB0ZXh0IAwA0RMEYQHAEgAAAFhlbgBQCAAB',
  },
  {
    codec: 'zstd',
    command: 'zstd -q -22 --ultra -c vmlinux',
    base64:
      'KLUv/WQhAa0EADQGf0VMRgIBAQACAD4AQABAADgAAwHoAAIEABAAAewhBA0CABRkYXRhTGludXggdmVyc2lvbiAlcwA2LjEuMC10ZXN0IChnY2MpCgBrZXJuZWwgdGV4dCAEEgAAAFhlbgBQCAABFiCA1FTnZMmE4UO5lORf+N3lb4QOzBcQNjMLMWbCgynD5UxLI4sm0+NRjxAMQigud1VczQ==',
  },
];
