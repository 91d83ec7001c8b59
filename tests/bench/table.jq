# The result as a table: each ratio beside what it must reach.
def shown: tostring | if test("\\.") then .[0:(index(".") + 4)] else . end;
def line($name; $value; $wanted; $reached): "\($name)\t\($value | shown)\t\($wanted)\t\(if $reached then "reached" else "missed" end)";
def at_least($name; $value; $wanted): line($name; $value; "at least \($wanted)"; $value >= $wanted);
"machine\t\(.machine)\ndate\t\(.date)",
(.overhead // {} | to_entries[] | at_least("overhead.\(.key)"; .value; {sealed: 0.90, token: 0.95}[.key]))
