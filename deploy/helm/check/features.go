package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// What must be given by reference, never as text.
var secret = regexp.MustCompile(`(PASSWORD|SECRET|SECRET_KEY|ADMIN_KEY|SECRETS)$`)

var processes = []string{"effects", "ingest", "meter", "query", "sink"}

func component(labels map[string]string) string {
	return labels["app.kubernetes.io/component"]
}

// features says what a profile lacks of what docs/deploy.md promises.
func (c *chart) features(profile string) {
	var found []string
	for _, pod := range c.pods {
		found = append(found, component(pod.labels))
		for _, container := range pod.spec.Containers {
			c.container(pod, container)
		}
	}
	running := processes
	if profile == "without-effects" {
		running = slices.DeleteFunc(slices.Clone(processes), func(process string) bool { return process == "effects" })
	}
	c.expect("processes", found, running)
	var policies, scaled, monitored []string
	for _, policy := range c.policies {
		policies = append(policies, component(policy.Spec.PodSelector.MatchLabels))
		if len(policy.Spec.PolicyTypes) != 2 || len(policy.Spec.Egress) == 0 || len(policy.Spec.Ingress) == 0 {
			c.problem("NetworkPolicy/%s leaves a direction open", policy.Name)
		}
	}
	for _, scaler := range c.scalers {
		scaled = append(scaled, component(scaler.Labels))
		if scaler.Spec.MinReplicas == nil || *scaler.Spec.MinReplicas < 2 || scaler.Spec.MaxReplicas <= *scaler.Spec.MinReplicas {
			c.problem("HorizontalPodAutoscaler/%s scales from one, or nowhere", scaler.Name)
		}
	}
	for _, monitor := range c.monitors {
		monitored = append(monitored, component(monitor.Spec.Selector.MatchLabels))
		for _, endpoint := range monitor.Spec.Endpoints {
			c.endpoint(monitor.Name, monitor.Spec.Selector.MatchLabels, endpoint.Port)
		}
	}
	guarded := running
	if profile == "without-policies" {
		guarded = nil
	}
	c.expect("network policies", policies, guarded)
	switch profile {
	case "small":
		c.expect("autoscalers", scaled, nil)
		c.expect("disruption budgets", c.of("PodDisruptionBudget/"), nil)
	case "without-effects":
		c.expect("service monitors", monitored, running)
		c.missed("effects")
	case "without-volumes":
		if len(c.claims["StatefulSet/toll-meter"]) != 0 {
			c.problem("the meter has a volume")
		}
	case "large":
		c.expect("service monitors", monitored, running)
		if len(c.rules) != 1 {
			c.problem("%d PrometheusRule, expected 1", len(c.rules))
		}
		if len(c.claims["StatefulSet/toll-meter"]) != 1 {
			c.problem("the meter has no volume of its own")
		}
	}
	if profile != "small" {
		c.expect("autoscalers", scaled, []string{"ingest", "query"})
		c.expect("disruption budgets", c.of("PodDisruptionBudget/toll-"), []string{"ingest", "meter", "query", "sink"})
	}
	if c.counts["Secret"] > 0 {
		c.problem("a secret is made by the chart")
	}
}

// missed says which rule waits for a process that does not run.
func (c *chart) missed(process string) {
	count := 0
	for _, rendered := range c.rules {
		for _, group := range rendered.Spec.Groups {
			for _, rule := range group.Rules {
				count++
				if strings.Contains(rule.Expr.StrVal, `absent(up{job="tollbooth-`+process+`"})`) {
					c.problem("PrometheusRule: %s misses %s", rule.Alert, process)
				}
			}
		}
	}
	if count == 0 {
		c.problem("no rules were rendered")
	}
}

func (c *chart) container(pod pod, container corev1.Container) {
	if container.StartupProbe == nil {
		c.problem("%s has no startup probe", pod.owner)
	}
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil {
			continue
		}
		if !slices.ContainsFunc(container.Ports, func(port corev1.ContainerPort) bool { return port.Name == probe.HTTPGet.Port.StrVal }) {
			c.problem("%s: a probe asks %q, which is no port", pod.owner, probe.HTTPGet.Port.StrVal)
		}
	}
	if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
		c.problem("%s asks for no memory or no processor", pod.owner)
	}
	if security := container.SecurityContext; security == nil || security.Capabilities == nil || len(security.Capabilities.Drop) == 0 ||
		security.AllowPrivilegeEscalation == nil || *security.AllowPrivilegeEscalation {
		c.problem("%s keeps rights that it does not need", pod.owner)
	}
	var member, store string
	for _, variable := range container.Env {
		if secret.MatchString(variable.Name) && variable.ValueFrom == nil {
			c.problem("%s: %s is text, not a reference to a secret", pod.owner, variable.Name)
		}
		switch variable.Name {
		case "TOLLBOOTH_METER__MEMBER_ID":
			if variable.ValueFrom != nil && variable.ValueFrom.FieldRef != nil {
				member = variable.ValueFrom.FieldRef.FieldPath
			}
		case "TOLLBOOTH_METER__STORE__DIR":
			store = variable.Value
		}
	}
	if name := component(pod.labels); name == "meter" || name == "sink" {
		if !strings.HasPrefix(pod.owner, "StatefulSet/") || member != "metadata.name" {
			c.problem("%s is no static member of its group", pod.owner)
		}
	}
	kept := slices.ContainsFunc(container.VolumeMounts, func(mount corev1.VolumeMount) bool {
		return mount.Name == "state" && strings.HasPrefix(store, mount.MountPath+"/")
	})
	if claimed := len(c.claims[pod.owner]) > 0; claimed != kept || claimed != (store != "") {
		c.problem("%s: the store %q does not lie on a volume of its own", pod.owner, store)
	}
}

// starts has each program read the configuration that it would be given.
func (c *chart) starts(binaries string) {
	for _, pod := range c.pods {
		for _, container := range pod.spec.Containers {
			command := exec.Command(filepath.Join(binaries, container.Command[0]), append(container.Command[1:], "--check-config")...)
			command.Env = []string{"PATH=" + os.Getenv("PATH")}
			for _, variable := range container.Env {
				value := variable.Value
				if variable.ValueFrom != nil {
					// Long enough for a secret; a pod's name is as good as any other.
					value = "0123456789abcdef0123456789abcdef"
				}
				command.Env = append(command.Env, variable.Name+"="+value)
			}
			if said, err := command.CombinedOutput(); err != nil {
				c.problem("%s does not take its environment: %v\n%s", pod.owner, err, said)
			}
		}
	}
}

// endpoint looks whether a service of these labels has the port.
func (c *chart) endpoint(monitor string, labels map[string]string, port string) {
	for _, service := range c.services {
		if component(service.Labels) == component(labels) &&
			slices.ContainsFunc(service.Spec.Ports, func(has corev1.ServicePort) bool { return has.Name == port }) {
			return
		}
	}
	c.problem("ServiceMonitor/%s reads port %q of no service", monitor, port)
}

func (c *chart) of(prefix string) []string {
	var found []string
	for name := range c.names {
		if rest, is := strings.CutPrefix(name, prefix); is {
			found = append(found, rest)
		}
	}
	return found
}

func (c *chart) expect(what string, found, expected []string) {
	slices.Sort(found)
	if !slices.Equal(found, expected) {
		c.problem("%s of %v, expected of %v", what, found, expected)
	}
}

// sameRules says where the rendered rules differ from those that are tested, but for the addresses before their pages.
func (c *chart) sameRules(folder string) {
	if folder == "" || len(c.rules) == 0 {
		return
	}
	rendered := map[string]monitoringv1.RuleGroup{}
	for _, group := range c.rules[0].Spec.Groups {
		rendered[group.Name] = group
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.rules.yml"))
	if err != nil || len(files) == 0 {
		c.problem("no rules in %s", folder)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		var source monitoringv1.PrometheusRuleSpec
		if err == nil {
			err = yaml.UnmarshalStrict(text, &source)
		}
		if err != nil {
			c.problem("%s: %v", file, err)
		}
		for _, group := range source.Groups {
			if !sameGroup(group, rendered[group.Name]) {
				c.problem("PrometheusRule: the group %s is not that of %s", group.Name, file)
			}
			delete(rendered, group.Name)
		}
	}
	for name := range rendered {
		c.problem("PrometheusRule: the group %s is of no file", name)
	}
}

func sameGroup(source, rendered monitoringv1.RuleGroup) bool {
	return slices.EqualFunc(source.Rules, rendered.Rules, func(a, b monitoringv1.Rule) bool {
		if len(a.Annotations) != len(b.Annotations) {
			return false
		}
		for name, text := range a.Annotations {
			if !strings.HasSuffix(b.Annotations[name], text) {
				return false
			}
		}
		a.Annotations, b.Annotations = nil, nil
		return reflect.DeepEqual(a, b)
	})
}
