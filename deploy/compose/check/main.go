// Loads the compose file as docker compose does (by its own library, the schema included) and looks at what must hold: our
// processes have no rights and nothing to write to, what they wait for has a health check, what is mounted is there, and each
// program takes the environment that it is given.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// Long enough to be a secret, and of the form of a key.
const secret = "0123456789abcdef0123456789abcdef"

var problems []string

func problem(format string, values ...any) {
	problems = append(problems, fmt.Sprintf(format, values...))
}

func load(file string, environment []string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnv(environment), cli.WithProfiles([]string{"observe"}), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func ours(service types.ServiceConfig) bool {
	return service.Build != nil
}

func look(project *types.Project, service types.ServiceConfig) {
	if ours(service) {
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") || service.Privileged {
			problem("%s may do or write what it need not", service.Name)
		}
	}
	for name, dependency := range service.DependsOn {
		on, err := project.GetService(name)
		if err == nil && dependency.Condition == types.ServiceConditionHealthy && on.HealthCheck == nil && !ours(on) {
			problem("%s waits for the health of %s, which has no check", service.Name, name)
		}
	}
	for _, volume := range service.Volumes {
		if _, err := os.Stat(volume.Source); volume.Type == "bind" && err != nil {
			problem("%s mounts %s, which is not there", service.Name, volume.Source)
		}
	}
	for _, port := range service.Ports {
		if port.HostIP != "127.0.0.1" {
			problem("%s is reached from outside at %s", service.Name, port.Published)
		}
	}
}

// starts has a program read its configuration.
func starts(binaries string, service types.ServiceConfig) {
	command := exec.Command(filepath.Join(binaries, service.Command[0]), append(service.Command[1:], "--check-config")...)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range service.Environment {
		if value != nil {
			command.Env = append(command.Env, name+"="+*value)
		}
	}
	if said, err := command.CombinedOutput(); err != nil {
		problem("%s: %v\n%s", service.Name, err, said)
	}
}

func main() {
	binaries := flag.String("binaries", "", "folder of built programs")
	flag.Parse()
	file := flag.Arg(0)
	environment := []string{"CLICKHOUSE_PASSWORD=" + secret, "TOLLBOOTH_ADMIN_KEY=" + secret, "TOLLBOOTH_FORWARD_SECRET=" + secret}
	project, err := load(file, environment)
	if err != nil {
		fmt.Fprintln(os.Stderr, "problem:", err)
		os.Exit(1)
	}
	for left := range environment {
		without := slices.Delete(slices.Clone(environment), left, left+1)
		if _, err := load(file, without); err == nil || !strings.Contains(err.Error(), strings.SplitN(environment[left], "=", 2)[0]) {
			problem("started without %s: %v", environment[left], err)
		}
	}
	programs := 0
	for _, service := range project.Services {
		look(project, service)
		if ours(service) {
			programs++
			if *binaries != "" {
				starts(*binaries, service)
			}
		}
	}
	if programs != 5 {
		problem("%d processes of ours, expected 5", programs)
	}
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, "problem:", problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d services, %d of them ours: in order\n", len(project.Services), programs)
}
