//! Reads from `/proc/self/maps` where the program's code is.

use std::ops::Range;

/// The address ranges of private mappings of `program` that may be executed and not written. A line that is not understood is
/// none of them.
pub(crate) fn code<'a>(maps: &'a str, program: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    maps.lines().filter_map(move |line| {
        // `55d3c0a00000-55d3c5c00000 r-xp 01200000 fe:00 1234    /usr/bin/lakehead`; a path may hold blanks.
        let mut words = line.splitn(6, ' ');
        let (range, permissions) = (words.next()?, words.next()?);
        let path = words.nth(3)?.trim_start();
        if permissions != "r-xp" || path != program {
            return None;
        }
        let (start, end) = range.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        (!range.is_empty()).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d3c0000000-55d3c0100000 r--p 00000000 fe:00 1234                       /opt/my lake/lakehead
55d3c0100000-55d3c0200000 r-xp 00100000 fe:00 1234                       /opt/my lake/lakehead
55d3c0200000-55d3c0300000 rw-p 00200000 fe:00 1234                       /opt/my lake/lakehead
55d3c0300000-55d3c0400000 rwxp 00300000 fe:00 1234                       /opt/my lake/lakehead
55d3c0400000-55d3c0500000 r-xs 00400000 fe:00 1234                       /opt/my lake/lakehead
7f0000000000-7f0000100000 r-xp 00000000 fe:00 99                         /usr/lib/libc.so.6
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
7f1000000000-7f1000100000 r-xp 00000000 00:00 0
nonsense
";

    #[test]
    fn only_code_of_the_program_that_nobody_may_write() {
        let mut found = code(MAPS, "/opt/my lake/lakehead");
        assert_eq!((found.next(), found.next()), (Some(0x55d3_c010_0000..0x55d3_c020_0000), None));
        assert_eq!(code(MAPS, "/opt/my").count(), 0);
    }
}
