# fish completion of sluice
set -l commands run check demo status devices tail send outbox audit passwd health version
complete -c sluice -f -n "not __fish_seen_subcommand_from $commands" -a "$commands"
complete -c sluice -s c -l config -r -F -d 'configuration file'
complete -c sluice -s d -l data -r -a '(__fish_complete_directories)' -d 'data directory'
complete -c sluice -s h -l help -d 'show help'
complete -c sluice -l json -n "__fish_seen_subcommand_from $commands" -d 'print JSON'
complete -c sluice -l licenses -n '__fish_seen_subcommand_from version' -d 'licences of everything inside'
