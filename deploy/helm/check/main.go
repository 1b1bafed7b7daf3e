// Reads rendered manifests from standard input and decodes each strictly into the type that Kubernetes itself decodes it
// into: an unknown or misplaced field is an error. Also: every selector finds a pod of the chart, every reference to a
// service account, service or volume resolves, no container runs as root or may write to its root, and what an installation needs
// is there (features.go).
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

type pod struct {
	owner  string
	labels map[string]string
	spec   corev1.PodSpec
}

type chart struct {
	pods      []pod
	names     map[string]bool
	selectors map[string]map[string]string
	backends  map[string]string
	targets   map[string]string
	counts    map[string]int
	claims    map[string][]corev1.PersistentVolumeClaim
	services  []corev1.Service
	policies  []networkingv1.NetworkPolicy
	scalers   []autoscalingv2.HorizontalPodAutoscaler
	monitors  []monitoringv1.ServiceMonitor
	rules     []monitoringv1.PrometheusRule
	problems  []string
}

func (c *chart) problem(format string, values ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, values...))
}

func (c *chart) read(document []byte) error {
	var meta struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
	}
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return err
	}
	if meta.Kind == "" {
		return nil
	}
	id := meta.Kind + "/" + meta.Metadata.Name
	if c.names[id] {
		c.problem("%s is there twice", id)
	}
	c.names[id] = true
	c.counts[meta.Kind]++
	strict := func(into any) error { return decode(document, into) }
	switch meta.APIVersion + "/" + meta.Kind {
	case "apps/v1/Deployment":
		var of appsv1.Deployment
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.pods = append(c.pods, pod{id, of.Spec.Template.Labels, of.Spec.Template.Spec})
		c.selectors[id] = of.Spec.Selector.MatchLabels
	case "apps/v1/StatefulSet":
		var of appsv1.StatefulSet
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		spec := of.Spec.Template.Spec
		for _, claim := range of.Spec.VolumeClaimTemplates {
			spec.Volumes = append(spec.Volumes, corev1.Volume{Name: claim.Name})
		}
		c.pods = append(c.pods, pod{id, of.Spec.Template.Labels, spec})
		c.selectors[id] = of.Spec.Selector.MatchLabels
		c.backends[id] = of.Spec.ServiceName
		c.claims[id] = of.Spec.VolumeClaimTemplates
	case "v1/Service":
		var of corev1.Service
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.selectors[id] = of.Spec.Selector
		c.services = append(c.services, of)
	case "policy/v1/PodDisruptionBudget":
		var of policyv1.PodDisruptionBudget
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.selectors[id] = of.Spec.Selector.MatchLabels
	case "networking.k8s.io/v1/NetworkPolicy":
		var of networkingv1.NetworkPolicy
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.selectors[id] = of.Spec.PodSelector.MatchLabels
		c.policies = append(c.policies, of)
	case "networking.k8s.io/v1/Ingress":
		var of networkingv1.Ingress
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		for _, rule := range of.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				c.backends[id] = path.Backend.Service.Name
			}
		}
	case "autoscaling/v2/HorizontalPodAutoscaler":
		var of autoscalingv2.HorizontalPodAutoscaler
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.scalers = append(c.scalers, of)
		c.targets[id] = of.Spec.ScaleTargetRef.Kind + "/" + of.Spec.ScaleTargetRef.Name
	case "v1/ServiceAccount":
		return wrap(id, strict(&corev1.ServiceAccount{}))
	case "v1/ConfigMap":
		return wrap(id, strict(&corev1.ConfigMap{}))
	case "monitoring.coreos.com/v1/ServiceMonitor":
		var of monitoringv1.ServiceMonitor
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.monitors = append(c.monitors, of)
	case "monitoring.coreos.com/v1/PrometheusRule":
		var of monitoringv1.PrometheusRule
		if err := strict(&of); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.rules = append(c.rules, of)
	default:
		c.problem("%s %s: nobody checks this kind", meta.APIVersion, id)
	}
	return nil
}

// decode is as strict as the API server: upper and lower case differ, and nothing stands twice.
func decode(document []byte, into any) error {
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	unknown, err := json.UnmarshalStrict(text, into)
	return errors.Join(append(unknown, err)...)
}

func wrap(id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", id, err)
}

func (c *chart) relate() {
	for id, selector := range c.selectors {
		found := 0
		for _, pod := range c.pods {
			if labels.SelectorFromSet(selector).Matches(labels.Set(pod.labels)) {
				found++
			}
		}
		if found != 1 {
			c.problem("%s selects the pods of %d workloads", id, found)
		}
	}
	for id, service := range c.backends {
		if service != "" && !c.names["Service/"+service] {
			c.problem("%s names the service %q, which is not there", id, service)
		}
	}
	for id, target := range c.targets {
		if !c.names[target] {
			c.problem("%s scales %s, which is not there", id, target)
		}
	}
	for _, pod := range c.pods {
		if !c.names["ServiceAccount/"+pod.spec.ServiceAccountName] {
			c.problem("%s: no service account %q", pod.owner, pod.spec.ServiceAccountName)
		}
		if pod.spec.SecurityContext == nil || pod.spec.SecurityContext.RunAsNonRoot == nil || !*pod.spec.SecurityContext.RunAsNonRoot {
			c.problem("%s may run as root", pod.owner)
		}
		volumes := map[string]bool{}
		for _, volume := range pod.spec.Volumes {
			volumes[volume.Name] = true
		}
		for _, container := range pod.spec.Containers {
			if security := container.SecurityContext; security == nil || security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
				c.problem("%s may write to its root", pod.owner)
			}
			if container.LivenessProbe == nil || container.ReadinessProbe == nil {
				c.problem("%s has no probes", pod.owner)
			}
			seen := map[string]bool{}
			for _, variable := range container.Env {
				if seen[variable.Name] {
					c.problem("%s sets %s twice", pod.owner, variable.Name)
				}
				seen[variable.Name] = true
			}
			for _, mount := range container.VolumeMounts {
				if !volumes[mount.Name] {
					c.problem("%s mounts %q, which is no volume", pod.owner, mount.Name)
				}
			}
		}
	}
}

func main() {
	profile := flag.String("profile", "normal", "small, normal, large, switched, without-effects, without-policies or without-volumes: what is expected of it")
	rules := flag.String("rules", "", "the folder of the alert rules that a PrometheusRule must be made of")
	binaries := flag.String("binaries", "", "folder of built programs, which then read the environment that they would be given")
	flag.Parse()
	c := chart{names: map[string]bool{}, selectors: map[string]map[string]string{}, backends: map[string]string{}, targets: map[string]string{}, counts: map[string]int{}, claims: map[string][]corev1.PersistentVolumeClaim{}}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(bytes.TrimSpace(document)) > 0 {
			err = c.read(document)
		}
		if err != nil {
			c.problem("%v", err)
		}
	}
	c.relate()
	c.features(*profile)
	c.sameRules(*rules)
	if *binaries != "" {
		c.starts(*binaries)
	}
	if len(c.pods) == 0 {
		c.problem("no workload was rendered")
	}
	for _, problem := range c.problems {
		fmt.Fprintln(os.Stderr, "problem:", problem)
	}
	fmt.Println(c.counts)
	if len(c.problems) > 0 {
		os.Exit(1)
	}
}
