# What scripts do: split lines, count words in hashes, match and substitute, sort, join.
use strict;
use warnings;

my ($file) = @ARGV;
my (%count, $numbers, $long, $length);
open(my $in, '<', $file) or die "cannot open $file: $!";
while (my $line = <$in>) {
    chomp $line;
    $numbers += $1 while $line =~ /\b(\d+)\b/g;
    $line =~ s/[.,;]//g;
    for my $word (split ' ', lc $line) {
        $count{$word}++;
        $long++ if length $word > 7;
    }
    $length += length(join '-', reverse split //, substr($line, 0, 20));
}
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print join(' ', @top[0 .. 9]), " $numbers $long $length\n";
