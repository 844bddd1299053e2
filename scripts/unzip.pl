#!/usr/bin/perl
# Unpacks a zip with Perl's core modules: unzip.pl FILE FOLDER
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use IO::Uncompress::Unzip qw($UnzipError);

my ($zip, $folder) = @ARGV;
my $in = IO::Uncompress::Unzip->new($zip) or die "$zip: $UnzipError\n";
my %made;
for (my $more = 1; $more > 0; $more = $in->nextStream) {
    my $name = $in->getHeaderInfo->{Name};
    next if $name =~ m{/$};
    die "$zip: $name leaves the folder\n" if $name =~ m{^/|(^|/)\.\.(/|$)};
    my $path = "$folder/$name";
    make_path(dirname($path)) unless $made{dirname($path)}++;
    open(my $out, '>:raw', $path) or die "$path: $!\n";
    my $buffer;
    while ((my $n = $in->read($buffer, 1 << 20)) > 0) { print {$out} $buffer or die "$path: $!\n" }
    close($out) or die "$path: $!\n";
}
die "$zip: $UnzipError\n" if $in->error && !$in->eof;
