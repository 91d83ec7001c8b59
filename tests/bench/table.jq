# The result as a table: each figure beside what it must reach.
def padded($width): . + " " * ([$width - length, 1] | max);
def shown: tostring | if test("\\.") then .[0:(index(".") + 4)] else . end;
def line($name; $value; $wanted): "\($name | padded(30))\($value | shown | padded(10))\($wanted)";
def judged($name; $value; $wanted; $reached): line($name; $value; "\($wanted | padded(18))\(if $reached then "reached" else "missed" end)");
def at_least($name; $value; $wanted): judged($name; $value; "at least \($wanted)"; $value >= $wanted);
def at_most($name; $value; $wanted; $unit): judged($name; $value; "at most \($wanted)\($unit)"; $value <= $wanted);

"machine   \(.machine)", "date      \(.date)",
(.overhead // {} | to_entries[] | at_least("overhead.\(.key)"; .value; {sealed: 0.90, token: 0.95, sealed_target: 0.90, token_target: 0.95}[.key])),
(.raw.overhead // {} | to_entries[] | line("  \(.key), C library allocator"; .value.libc_allocator.ratio; "")),
(.peers // {} | to_entries[] | judged("peers.\(.key)"; .value; "more than 1"; .value > 1)),
(.latency // {} | to_entries[] | {"16": 14, "64": 48}[.key] as $wanted
 | if $wanted then at_least("latency.\(.key)"; .value; $wanted) else line("latency.\(.key)"; .value; "") end),
(.threads // {} | to_entries[] | at_least("threads.\(.key)"; .value; 3)),
(.growth // {} | to_entries[] | at_most("growth.\(.key)"; .value; 1.15; "")),
(.raw.growth // {} | to_entries[] | line("  \(.key), devices spread"; .value.spread; "")),
(.check // empty | at_most("check against verify"; .; 2; "")),
(.raw.check // empty | at_most("  memory, \(.devices) devices"; .peak_mib; 96; " MiB")),
(.raw.growth // {} | to_entries[] | at_most("opening, \(.key) devices"; .value.open_ms; 100; " ms"),
                                    at_most("memory, \(.key) devices"; .value.peak_mib; 96; " MiB"),
                                    at_most("status of one, \(.key) devices"; .value.status_ms; 50; " ms"))
